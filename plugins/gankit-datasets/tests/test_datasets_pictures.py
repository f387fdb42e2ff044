"""Single pictures of every mode, size and state of repair."""

from __future__ import annotations

import struct
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from PIL import Image

from gankit.errors import BrokenItem
from gankit_datasets.pictures import SUFFIXES, Look, fault

WHITE, RED = (255, 255, 255), (255, 0, 0)


def saved(image: Image.Image, path, **options):
    """Save a picture and return its path."""
    image.save(path, **options)
    return path


def flat(mode: str, colour, size=(8, 8)) -> Image.Image:
    """Return a picture of one colour."""
    return Image.new(mode, size, colour)


def colour_of(sample: torch.Tensor) -> tuple[int, ...]:
    """Return the one colour of a sample (C, H, W)."""
    [colour] = {tuple(pixel) for pixel in sample.flatten(1).T.tolist()}
    return colour


def halves(size=(64, 32)) -> Image.Image:
    """Return a picture with a red left half and a blue right half."""
    image = Image.new("RGB", size, "blue")
    image.paste("red", (0, 0, size[0] // 2, size[1]))
    return image


@pytest.mark.parametrize(
    ("mode", "colour", "suffix", "expected"),
    [
        ("RGB", (10, 20, 30), "png", (10, 20, 30)),
        ("RGB", (10, 20, 30), "bmp", (10, 20, 30)),
        ("RGB", (10, 20, 30), "ppm", (10, 20, 30)),
        ("RGB", (10, 20, 30), "tiff", (10, 20, 30)),
        ("L", 77, "png", (77, 77, 77)),
        ("L", 77, "pgm", (77, 77, 77)),
        ("1", 1, "png", WHITE),
        ("1", 0, "tif", (0, 0, 0)),
        ("LA", (100, 255), "png", (100, 100, 100)),
        ("LA", (100, 0), "png", WHITE),
        ("RGBA", (10, 20, 30, 255), "png", (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), "png", WHITE),
        ("RGBA", (0, 255, 55, 51), "png", (204, 255, 215)),  # a fifth over white
        ("CMYK", (0, 255, 255, 0), "tif", RED),
        ("I;16", 0, "png", (0, 0, 0)),
        ("I;16", 128 * 257, "png", (128, 128, 128)),
        ("I;16", 65535, "tif", WHITE),
        ("I;16", 254 * 257, "png", (254, 254, 254)),
        ("I;16", 255 * 256, "png", (254, 254, 254)),
        ("I", 128 * 257, "pgm", (128, 128, 128)),
    ],
)
def test_every_mode_becomes_colour(tmp_path, mode, colour, suffix, expected):
    """Transparency is laid on white, deep grey is scaled by 255 / 65535."""
    path = saved(flat(mode, colour), tmp_path / f"a.{suffix}")
    sample = Look(side=4).read(path)
    assert sample.shape == (3, 4, 4)
    assert sample.dtype == torch.uint8
    assert colour_of(sample) == expected


def test_the_colours_of_print_in_a_jpeg(tmp_path):
    """Yellow and magenta ink make red, also in the inverted form that Adobe writes."""
    path = saved(flat("CMYK", (0, 255, 255, 0)), tmp_path / "a.jpg")
    red, green, blue = colour_of(Look(side=4).read(path))
    assert red > 250
    assert max(green, blue) < 5


def test_grey_is_the_luminance_of_colour(tmp_path):
    """ITU-R 601: 0.299 red, 0.587 green, 0.114 blue."""
    path = saved(flat("RGB", (200, 100, 50)), tmp_path / "a.png")
    sample = Look(side=4, channels=1).read(path)
    assert sample.shape == (1, 4, 4)
    assert colour_of(sample) == (round(0.299 * 200 + 0.587 * 100 + 0.114 * 50),)


def test_a_palette_with_a_transparent_colour_is_laid_on_white(tmp_path):
    """One index of the palette, or an alpha for each, as PNG and GIF have them."""
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    plain = saved(image, tmp_path / "plain.png")
    one = saved(image, tmp_path / "one.gif", transparency=0)
    each = saved(image, tmp_path / "each.png", transparency=bytes([0, 255]))
    assert colour_of(Look(side=4).read(plain)) == RED
    assert colour_of(Look(side=4).read(one)) == WHITE
    assert colour_of(Look(side=4).read(each)) == WHITE


def test_an_animation_gives_its_first_frame(tmp_path):
    """A GIF of a red and a blue frame is red."""
    frames = [flat("RGB", "red"), flat("RGB", "blue")]
    path = saved(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert colour_of(Look(side=4).read(path)) == RED


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_the_camera_orientation_is_followed(tmp_path, suffix):
    """EXIF 6 turns by a quarter clockwise: what was at the left comes to the top."""
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(halves(), tmp_path / f"a.{suffix}", exif=exif, **options)
    sample = Look(side=16, fit="squash").read(path).int()
    assert (sample[0, :6] > 200).all()
    assert (sample[2, :6] < 60).all()
    assert (sample[0, 10:] < 60).all()
    assert (sample[2, 10:] > 200).all()


def test_crop_keeps_the_centred_square(tmp_path):
    """Of green, red and green thirds, the middle third remains."""
    image = flat("RGB", "lime", (96, 32))
    image.paste("red", (32, 0, 64, 32))
    path = saved(image, tmp_path / "a.png")
    assert colour_of(Look(side=32, fit="crop").read(path)) == RED
    turned = saved(image.transpose(Image.Transpose.ROTATE_90), tmp_path / "b.png")
    assert colour_of(Look(side=32, fit="crop").read(turned)) == RED


def test_pad_keeps_all_on_white(tmp_path):
    """A picture twice as wide as high fills the middle half of the rows."""
    sample = Look(side=16, fit="pad").read(saved(halves(), tmp_path / "a.png"))
    assert colour_of(sample[:, :4]) == WHITE
    assert colour_of(sample[:, 12:]) == WHITE
    assert colour_of(sample[:, 4:12, :6]) == RED
    assert colour_of(sample[:, 4:12, 10:]) == (0, 0, 255)


def test_squash_keeps_all(tmp_path):
    """Both halves stay, each as wide as before in parts of the whole."""
    sample = Look(side=16, fit="squash").read(saved(halves(), tmp_path / "a.png"))
    assert colour_of(sample[:, :, :6]) == RED
    assert colour_of(sample[:, :, 10:]) == (0, 0, 255)


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (3, 2), (500, 501)])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_any_size_becomes_the_square(tmp_path, fit, size, suffix):
    """From one pixel to slivers, and whatever a JPEG decoder halves first."""
    path = saved(flat("RGB", "black", size), tmp_path / f"a.{suffix}")
    sample = Look(side=24, fit=fit).read(path)
    assert sample.shape == (3, 24, 24)
    assert (sample == 0).any()


def test_a_large_jpeg_is_like_the_same_png(tmp_path):
    """Decoding a JPEG at a part of its size moves no edge and no brightness."""
    gradient = Image.linear_gradient("L").resize((1600, 1200)).convert("RGB")
    jpeg = Look(side=32).read(saved(gradient, tmp_path / "a.jpg", quality=95))
    png = Look(side=32).read(saved(gradient, tmp_path / "a.png"))
    assert (jpeg.int() - png.int()).abs().max() <= 3


def test_a_jpeg_keeps_its_details(tmp_path):
    """Stripes two pixels wide in the result are there, however it was decoded."""
    stripes = flat("RGB", "black", (128, 128))
    for column in range(0, 128, 16):
        stripes.paste("white", (column, 0, column + 8, 128))
    path = saved(stripes, tmp_path / "a.jpg", quality=95)
    sample = Look(side=32, channels=1).read(path)[0].int()
    assert (sample[:, 0::4] - sample[:, 2::4] > 200).all()


def test_a_file_is_read_by_its_content(tmp_path):
    """A PNG that calls itself JPEG is a PNG."""
    path = tmp_path / "a.jpg"
    flat("RGB", "red").save(path, format="PNG")
    assert fault(path.parent, path.name) is None
    assert colour_of(Look(side=4).read(path)) == RED


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "tif", "bmp", "webp"])
def test_a_truncated_file_breaks_when_it_is_decoded(tmp_path, suffix):
    """The error names the file and a reason, and is the one that gankit skips."""
    image = Image.effect_noise((64, 64), 80).convert("RGB")
    path = saved(image, tmp_path / f"a.{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BrokenItem, match=rf"a\.{suffix}: \w+"):
        Look(side=4).read(path)


def test_a_file_that_is_gone_is_broken(tmp_path):
    """It may vanish between the check and the reading."""
    with pytest.raises(BrokenItem, match=r"a\.png: No such file"):
        Look(side=4).read(tmp_path / "a.png")


def test_float_pixels_are_refused_with_the_reason(tmp_path):
    """Nobody knows which value is white."""
    path = saved(flat("F", 0.5), tmp_path / "a.tif")
    with pytest.raises(BrokenItem, match=r"a\.tif: pixels are floats"):
        Look(side=4).read(path)


def bomb(path, side: int):
    """Write a PNG that promises side x side pixels, and holds none."""
    content = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">2I5B", side, side, 8, 0, 0, 0, 0)
    for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b""))):
        checksum = struct.pack(">I", zlib.crc32(name + data))
        content += struct.pack(">I", len(data)) + name + data + checksum
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("side", [9_500, 60_000])
def test_a_decompression_bomb_is_never_decoded(tmp_path, side):
    """Neither one that Pillow only warns of, nor one that it refuses."""
    path = bomb(tmp_path / "a.png", side)
    assert fault(path.parent, path.name) is None  # it begins as a picture does
    with pytest.raises(BrokenItem, match="pixels; shrink it first"):
        Look(side=4).read(path)


def test_headers_tell_what_is_no_picture(tmp_path):
    """Empty, foreign, dangling and circular files each have their reason."""
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    saved(flat("L", 0), tmp_path / "good.png")
    assert fault(tmp_path, "good.png") is None
    assert fault(tmp_path, "empty.png") == "empty file"
    assert fault(tmp_path, "text.png") == "not a picture that Pillow can read"
    assert "broken link" in fault(tmp_path, "gone.png")
    assert "broken link" in fault(tmp_path, "loop.png")


def test_formats_that_run_programs_are_not_opened(tmp_path):
    """PostScript would be handed to Ghostscript, whatever its suffix says."""
    flat("RGB", "red").save(tmp_path / "a.png", format="EPS")
    assert fault(tmp_path, "a.png") == "not a picture that Pillow can read"


def test_every_suffix_can_be_written_and_read(tmp_path):
    """What is looked for is what Pillow supports here."""
    for suffix in SUFFIXES:
        mode = "L" if suffix == ".pgm" else "RGB"
        path = saved(flat(mode, "white"), tmp_path / f"a{suffix}")
        assert colour_of(Look(side=4).read(path)) == WHITE


def corrupt_exif(path):
    """Write a picture whose EXIF data is cut short, which Pillow warns of."""
    exif = Image.Exif()
    exif[0x0112] = 1
    exif[0x010E] = "a description that is long enough to lie outside of its entry"
    flat("RGB", "red").save(path, exif=exif.tobytes()[:-20])
    return path


def test_warnings_of_pillow_stay_inside(tmp_path):
    """Those of others pass, and the filters are as before."""
    path = corrupt_exif(tmp_path / "a.jpg")
    before = list(warnings.filters)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with Image.open(path) as image:
            image.getexif().get(0x010E)
        assert caught, "Pillow warns of this file by itself"
    assert colour_of(Look(side=4).read(path)) == (254, 0, 0)
    assert warnings.filters == before


def test_many_threads_read_in_silence_and_restore_the_filters(tmp_path):
    """Saving and restoring filters from several threads would lose them."""
    path = corrupt_exif(tmp_path / "a.jpg")
    before = list(warnings.filters)
    gate = threading.Barrier(8)

    def read(_: int) -> None:
        gate.wait()
        for _ in range(20):
            Look(side=4).read(path)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, range(8)))
    assert warnings.filters == before


def test_transparency_is_kept_as_a_fourth_channel(tmp_path):
    """Of four quarters: opaque, half, and not at all, whose colour becomes white."""
    image = Image.new("RGBA", (4, 4), (10, 20, 30, 255))
    image.paste((10, 20, 30, 128), (2, 0, 4, 2))
    image.paste((10, 20, 30, 0), (0, 2, 2, 4))
    image.save(tmp_path / "a.png")
    sample = Look(side=4, channels=4).read(tmp_path / "a.png")
    assert sample.shape == (4, 4, 4)
    assert sample[:, 0, 0].tolist() == [10, 20, 30, 255]
    assert sample[:, 0, 3].tolist() == [10, 20, 30, 128]
    assert sample[:, 3, 0].tolist() == [255, 255, 255, 0]


def test_pictures_without_transparency_are_opaque(tmp_path):
    """Colour, grey, deep grey, and a palette with a transparent colour."""
    for name, image in {
        "rgb": Image.new("RGB", (4, 4), (1, 2, 3)),
        "grey": Image.new("L", (4, 4), 9),
        "deep": Image.new("I;16", (4, 4), 257 * 9),
    }.items():
        image.save(tmp_path / f"{name}.png")
        sample = Look(side=4, channels=4).read(tmp_path / f"{name}.png")
        assert (sample[3] == 255).all()
    assert sample[:3, 0, 0].tolist() == [9, 9, 9]
    image = Image.new("P", (4, 4), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.paste(1, (0, 0, 2, 4))
    image.save(tmp_path / "palette.png", transparency=0)
    sample = Look(side=4, channels=4).read(tmp_path / "palette.png")
    assert sample[:, 0, 0].tolist() == [0, 255, 0, 255]
    assert sample[3, 0, 3] == 0


def test_what_is_not_seen_has_no_part_in_colours_when_resized(tmp_path):
    """A black ground that is transparent leaves no dark seam around a red square."""
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (13, 13, 51, 51))
    image.save(tmp_path / "a.png")
    for fit in ("crop", "pad", "squash"):
        sample = Look(side=8, channels=4, fit=fit).read(tmp_path / "a.png")
        seam = (sample[3] > 40) & (sample[3] < 255)
        assert seam.any()
        assert sample[0][seam].min() >= 250
        assert sample[1][seam].max() <= 5


def test_padding_is_transparent_where_transparency_is_kept(tmp_path):
    """And white, as what is not seen."""
    Image.new("RGB", (8, 4), (1, 2, 3)).save(tmp_path / "a.png")
    sample = Look(side=8, channels=4, fit="pad").read(tmp_path / "a.png")
    assert sample[:, 0, 0].tolist() == [255, 255, 255, 0]
    assert sample[:, 4, 4].tolist() == [1, 2, 3, 255]
