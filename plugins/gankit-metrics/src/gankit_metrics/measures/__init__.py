"""Measures of generated samples, one a file.

Each is a pure function of tensors, of real and of generated samples or of what a
network says of them. All compute in float64 on the device of their inputs and give
floats. What is compared in pairs is compared block by block, so that memory does not
grow with the square of the number of samples.
"""
