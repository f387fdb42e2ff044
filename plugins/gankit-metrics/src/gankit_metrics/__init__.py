"""How good generated samples are: measures, each a pure function of tensors."""
