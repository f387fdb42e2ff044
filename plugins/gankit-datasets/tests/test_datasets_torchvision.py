"""MNIST, Fashion-MNIST and CIFAR-10, from tiny stand-ins for their archives."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import random
import shutil
import struct
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision import datasets

from gankit.errors import DataError
from gankit_datasets.cifar10 import cifar10
from gankit_datasets.fashion_mnist import fashion_mnist
from gankit_datasets.mnist import mnist

REAL = Path(
    os.environ.get("GANKIT_TEST_DATA", Path(__file__).parents[4] / "shared" / "data")
)
NOWHERE = "http://127.0.0.1:9/"  # the discard port: refuses at once, needs no network
COUNTS = {"train": 6, "t10k": 3}


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    """Keep every test from the network and from the user's own cache."""
    monkeypatch.setattr(datasets.MNIST, "mirrors", [NOWHERE])
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [NOWHERE])
    monkeypatch.setattr(datasets.CIFAR10, "url", NOWHERE + "cifar.tar.gz")
    monkeypatch.setenv("GANKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


class Silent(SimpleHTTPRequestHandler):
    """A web server that logs nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine, and give its address."""
    handler = partial(Silent, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def pixel(split: str, item: int, place: int) -> int:
    """Return the pixel that the stand-in archives hold."""
    return (31 * item + 7 * place + len(split)) % 251


def idx_files() -> dict[str, bytes]:
    """Return the four unpacked files of a tiny MNIST."""
    files = {}
    for split, count in COUNTS.items():
        pixels = bytes(pixel(split, i, p) for i in range(count) for p in range(784))
        header = struct.pack(">4i", 0x803, count, 28, 28)
        files[f"{split}-images-idx3-ubyte"] = header + pixels
        labels = bytes((i + 1) % 10 for i in range(count))
        files[f"{split}-labels-idx1-ubyte"] = struct.pack(">2i", 0x801, count) + labels
    return files


@pytest.fixture
def archives(monkeypatch, tmp_path):
    """Make the archives of a tiny MNIST the right ones, and return their folder."""
    folder = tmp_path / "archives"
    folder.mkdir()
    resources = []
    for name, content in idx_files().items():
        packed = gzip.compress(content, mtime=0)
        (folder / f"{name}.gz").write_bytes(packed)
        resources.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    monkeypatch.setattr(datasets.FashionMNIST, "resources", resources)
    return folder


@pytest.fixture
def root(archives, tmp_path):
    """Return a folder with the archives of a tiny MNIST where they belong."""
    root = tmp_path / "data"
    shutil.copytree(archives, root / "MNIST" / "raw")
    return root


def tree(folder: Path) -> list[str]:
    """List everything below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_archives_in_a_writable_folder_are_unpacked_beside_them(root):
    """No download is needed, and nothing is left over."""
    data = mnist(root=root, download=False)
    raw = root / "MNIST" / "raw"
    assert {name: (raw / name).read_bytes() for name in idx_files()} == idx_files()
    assert len(tree(root)) == 2 + 4 + 4  # folders, archives, unpacked
    assert len(data) == 6
    assert data.facts.sample_shape == (1, 28, 28)
    assert data.facts.sample_range is None
    assert data.facts.annotations["label"].names == tuple("0123456789")
    assert "captions" not in data.facts.annotations


@pytest.mark.parametrize("order", [1, -1])
def test_items_are_the_pixels_and_labels_of_the_files(root, order):
    """Item i is the i-th picture of the split, as uint8 in reading order."""
    for split, short in [("train", "train"), ("test", "t10k")][::order]:
        data = mnist(root=root, split=split)
        assert len(data) == COUNTS[short]
        for i in range(len(data)):
            assert data[i].sample.dtype == torch.uint8
            assert data[i].sample.flatten().tolist() == [
                pixel(short, i, place) for place in range(784)
            ]
            assert data[i].annotations["label"] == (i + 1) % 10
    with pytest.raises(IndexError):
        data[len(data)]


def test_unpacked_files_need_nothing_else(archives, tmp_path):
    """A read-only folder of unpacked files is read where it is."""
    raw = tmp_path / "share" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in idx_files().items():
        (raw / name).write_bytes(content)
    raw.chmod(0o555)
    assert len(mnist(root=tmp_path / "share", download=False)) == 6
    assert not (tmp_path / "cache").exists()
    raw.chmod(0o755)


@pytest.mark.parametrize("closed", ["MNIST/raw", "."])
def test_a_read_only_share_of_archives_is_unpacked_in_the_cache(root, tmp_path, closed):
    """Nothing is written to the share, and the cache serves it from then on."""
    (root / closed).chmod(0o555)
    before = tree(root)
    first = mnist(root=root, download=False)
    assert tree(root) == before
    assert len(tree(tmp_path / "cache")) == 2 + 4
    again = mnist(root=root, download=False)
    assert all(torch.equal(first[i].sample, again[i].sample) for i in range(6))
    (root / closed).chmod(0o755)


@pytest.mark.parametrize("load", [mnist, fashion_mnist, cifar10])
def test_nothing_there_and_no_network_is_one_clear_error(load, tmp_path, capfd):
    """It names the folder, what was looked for and the next move; nothing leaks."""
    root = tmp_path / "empty"
    with pytest.raises(DataError) as caught:
        load(root=root)
    said = str(caught.value)
    assert f"{root} holds no " in said
    assert "looked for " in said
    assert "downloading into" in said
    assert "failed (" in said
    assert "set root to" in said
    assert "\n" not in said
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert not root.exists()
    assert capfd.readouterr() == ("", "")


def test_download_off_is_said(tmp_path):
    """Without download nothing is tried."""
    with pytest.raises(DataError, match="download is off"):
        mnist(root=tmp_path, download=False)


def test_a_download_is_silent_and_keeps_what_is_read(
    monkeypatch, archives, tmp_path, capfd
):
    """The unpacked files arrive in a new root; neither bars nor archives remain."""
    with served(archives) as mirror:
        monkeypatch.setattr(datasets.MNIST, "mirrors", [mirror])
        data = mnist(root=tmp_path / "new" / "data")
    assert len(data) == 6
    assert tree(tmp_path / "new" / "data") == sorted(
        ["MNIST", "MNIST/raw", *(f"MNIST/raw/{name}" for name in idx_files())]
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archives", "new"]
    assert capfd.readouterr() == ("", "")


def test_a_missing_archive_is_downloaded_and_the_others_kept(
    monkeypatch, root, archives, tmp_path
):
    """Only what is not there, or is damaged, is fetched."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for name in ("train-labels-idx1-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        shutil.copy(archives / name, mirror)
    (root / "MNIST/raw/train-labels-idx1-ubyte.gz").unlink()
    (root / "MNIST/raw/t10k-labels-idx1-ubyte.gz").write_bytes(b"cut short")
    with served(mirror) as address:
        monkeypatch.setattr(datasets.MNIST, "mirrors", [address])
        assert [item.annotations["label"] for item in mnist(root=root)] == [
            1,
            2,
            3,
            4,
            5,
            6,
        ]
    damaged = root / "MNIST/raw/t10k-labels-idx1-ubyte.gz"
    assert damaged.read_bytes() == b"cut short"


def test_a_damaged_archive_is_named(root):
    """Its MD5 is wrong, so that it is not unpacked."""
    (root / "MNIST/raw/train-images-idx3-ubyte.gz").write_bytes(b"not these")
    with pytest.raises(
        DataError, match=r"MNIST/raw/train-images-idx3-ubyte\.gz is there, but its MD5"
    ):
        mnist(root=root, download=False)


@pytest.mark.parametrize("length", [0, 3, 4, 9, 1000])
@pytest.mark.parametrize("noise", [0, 255])
def test_damaged_unpacked_files_are_named(root, length, noise):
    """Cut short or overwritten: an error of the data, with the way out."""
    mnist(root=root)
    cut = root / "MNIST" / "raw" / "train-images-idx3-ubyte"
    kept = bytes(byte ^ noise for byte in cut.read_bytes()[:length])
    cut.write_bytes(kept)
    with pytest.raises(DataError, match=r"MNIST in .*raw are damaged .*delete them"):
        mnist(root=root)


def test_an_interruption_leaves_nothing_half_done(monkeypatch, root):
    """Unpacking happens elsewhere, and is moved into place only when it is done."""

    def interrupted(self):
        raise KeyboardInterrupt

    before = tree(root)
    with monkeypatch.context() as patched:
        patched.setattr(datasets.MNIST, "_load_data", interrupted)
        with pytest.raises(KeyboardInterrupt):
            mnist(root=root)
    assert tree(root) == before
    assert len(mnist(root=root)) == 6


@pytest.mark.parametrize("kind", [0, 9, 10])
def test_other_numbers_than_bytes_are_damage(root, kind):
    """The third byte of an IDX file is 8: unsigned bytes follow."""
    mnist(root=root)
    file = root / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(bytes([0, 0, kind, 3]) + file.read_bytes()[4:])
    with pytest.raises(DataError, match="are damaged"):
        mnist(root=root)


def test_a_cache_that_cannot_be_written_is_named(root, tmp_path, monkeypatch):
    """With the variable that moves it."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GANKIT_CACHE", str(tmp_path / "file" / "cache"))
    root.chmod(0o555)
    with pytest.raises(DataError, match=r"unpacking into .*cache failed.*GANKIT_CACHE"):
        mnist(root=root)
    root.chmod(0o755)


def test_a_root_that_is_a_file_is_refused(tmp_path):
    """The error says what root has to be."""
    (tmp_path / "data").write_text("")
    with pytest.raises(DataError, match=r"data is not a folder; set root to"):
        mnist(root=tmp_path / "data")


@pytest.mark.parametrize(("size", "before"), [(28, 0), (31, 1), (32, 2)])
def test_up_to_32_pixels_come_with_a_black_border(root, size, before):
    """The picture stays as it is, in the middle; an odd line goes last."""
    plain, framed = mnist(root=root), mnist(root=root, size=size)
    assert framed.facts.sample_shape == (1, size, size)
    inner = slice(before, before + 28)
    sample = framed[4].sample
    assert torch.equal(sample[:, inner, inner], plain[4].sample)
    assert sample.sum() == plain[4].sample.sum()


@pytest.mark.parametrize("size", [14, 20, 33, 64])
def test_other_sizes_are_resized_without_aliasing(root, size):
    """Pillow's antialiased bilinear filter gives the same, but for rounding."""
    plain, resized = mnist(root=root), mnist(root=root, size=size)
    picture = Image.fromarray(plain[2].sample[0].numpy())
    reference = picture.resize((size, size), Image.Resampling.BILINEAR)
    expected = torch.frombuffer(bytearray(reference.tobytes()), dtype=torch.uint8)
    difference = resized[2].sample.flatten().int() - expected.int()
    assert resized.facts.sample_shape == (1, size, size)
    assert difference.abs().max() <= 1


def test_skip_and_take_cut_a_run_of_items_out(root):
    """Skip is taken off first; together they split a set in two."""
    assert [mnist(root=root, take=4)[i].annotations["label"] for i in range(4)] == [
        1,
        2,
        3,
        4,
    ]
    rest = mnist(root=root, skip=4)
    assert [item.annotations["label"] for item in rest] == [5, 6]
    assert len(mnist(root=root, skip=2, take=3)) == 3


@pytest.mark.parametrize("cut", [{"take": 7}, {"skip": 6}, {"skip": 4, "take": 3}])
def test_more_than_there_is_is_refused(root, cut):
    """A training set is never silently smaller than asked for."""
    with pytest.raises(DataError, match="more than the 6 items of MNIST's train split"):
        mnist(root=root, **cut)


def test_a_pickled_set_gives_the_same_items(root):
    """Workers of a data loader get a copy."""
    data = mnist(root=root, size=32)
    copy = pickle.loads(pickle.dumps(data))
    assert copy.facts == data.facts
    assert all(torch.equal(copy[i].sample, data[i].sample) for i in range(6))


def test_fashion_mnist_lies_in_a_folder_of_its_own(archives, tmp_path):
    """The same format, with classes named by torchvision."""
    shutil.copytree(archives, tmp_path / "data" / "FashionMNIST" / "raw")
    data = fashion_mnist(root=tmp_path / "data", download=False, size=32)
    assert data.facts.annotations["label"].names[0] == "T-shirt/top"
    assert len(data.facts.annotations["label"].names) == 10
    assert data.facts.sample_shape == (1, 32, 32)


@pytest.fixture
def cifar_archive(monkeypatch):
    """Make a CIFAR-10 of two pictures a batch the right one, and return its archive."""
    rng = random.Random(0)
    packed = io.BytesIO()

    def add(name: str, content: object) -> str:
        data = pickle.dumps(content, protocol=2)
        entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
        return hashlib.md5(data).hexdigest()

    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        lists = {}
        for split, names in (
            ("train_list", ["data_batch_1", "data_batch_2"]),
            ("test_list", ["test_batch"]),
        ):
            lists[split] = []
            for name in names:
                pixels = [[rng.randrange(256) for _ in range(3072)] for _ in range(2)]
                array = torch.tensor(pixels, dtype=torch.uint8).numpy()
                digest = add(name, {"data": array, "labels": [3, 8]})
                lists[split].append([name, digest])
        names = [f"kind {i}" for i in range(10)]
        digest = add("batches.meta", {"label_names": names})
    for split, entries in lists.items():
        monkeypatch.setattr(datasets.CIFAR10, split, entries)
    meta = {"filename": "batches.meta", "key": "label_names", "md5": digest}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    digest = hashlib.md5(packed.getvalue()).hexdigest()
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", digest)
    return packed.getvalue()


def test_cifar10_is_channels_first(cifar_archive, tmp_path):
    """Its files hold red, green and blue planes one after the other."""
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(cifar_archive)
    data = cifar10(root=tmp_path, download=False)
    rng = random.Random(0)
    expected = [rng.randrange(256) for _ in range(3072)]
    assert len(data) == 4
    assert data.facts.sample_shape == (3, 32, 32)
    assert data.facts.annotations["label"].names == tuple(
        f"kind {i}" for i in range(10)
    )
    assert data[0].sample.flatten().tolist() == expected
    assert [item.annotations["label"] for item in data] == [3, 8, 3, 8]
    assert len(cifar10(root=tmp_path, split="test", download=False)) == 2


def test_cifar10_can_be_mirrored(cifar_archive, tmp_path):
    """Each picture is itself or its mirror image, anew each time; stored are none."""
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(cifar_archive)
    plain, mirrored = (cifar10(root=tmp_path, mirror=m) for m in (False, True))
    assert not hasattr(plain, "transform")
    assert torch.equal(mirrored.all_samples, plain.all_samples)
    stored, rng = plain.all_samples[[0] * 64], torch.Generator().manual_seed(0)
    seen = mirrored.transform(stored, rng)
    turned = (seen == stored.flip(-1)).flatten(1).all(1)
    kept = (seen == stored).flatten(1).all(1)
    assert torch.equal(turned, ~kept)
    assert 16 < int(turned.sum()) < 48  # 32 ± 4 standard deviations
    assert hasattr(mirrored.splits["test"](), "transform")


def test_cifar10_is_resized_to_any_other_size(cifar_archive, tmp_path):
    """A border around photographs would teach a generator to draw borders."""
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(cifar_archive)
    data = cifar10(root=tmp_path, size=34)
    assert data.facts.sample_shape == (3, 34, 34)
    assert (data[0].sample[:, 0] > 0).any()


@pytest.mark.skipif(not (REAL / "mnist").is_dir(), reason="no MNIST in the test data")
def test_the_real_mnist(tmp_path):
    """Class sizes and pixel moments are those known of MNIST."""
    root = tmp_path / "mnist"
    shutil.copytree(REAL / "mnist", root)
    train, test = mnist(root=root), mnist(root=root, split="test")
    counts = torch.bincount(
        torch.tensor([item.annotations["label"] for item in train])
    ).tolist()
    assert counts == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    counts = torch.bincount(
        torch.tensor([item.annotations["label"] for item in test])
    ).tolist()
    assert counts == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    pixels = torch.stack([item.sample for item in train]).float() / 255
    assert pixels.mean().item() == pytest.approx(0.13066, abs=1e-5)
    assert pixels.std().item() == pytest.approx(0.30811, abs=1e-5)


def test_what_is_not_taken_is_held_out(root):
    """Of six images two are taken; the others validate, and the other half tests."""
    data = mnist(root=root, skip=1, take=2, download=False)
    every = mnist(root=root, download=False).all_samples
    validation, test = data.splits["validation"](), data.splits["test"]()
    assert torch.equal(validation.all_samples, every[[0, 3, 4, 5]])
    assert validation.facts == test.facts == data.facts
    assert torch.equal(
        test.all_samples, mnist(root=root, split="test", download=False).all_samples
    )
    assert mnist(root=root, download=False).splits.keys() == {"test"}
    assert not test.splits
