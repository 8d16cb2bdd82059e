"""Reading of files in every form: pipes, compressed, with names that are not UTF-8."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from crysformer.errors import InputError
from crysformer.file_content import file_with, is_unicode, read_content, unicode_path

CONTENT = b"some content\n" * 1000


@pytest.fixture
def odd_name(tmp_path: Path) -> Path:
    """A name in Latin-1."""
    return Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_compression_is_recognised_by_content(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "x"
    path.write_bytes(compress(CONTENT))
    assert read_content(path, "text") == CONTENT
    if compress is not bytes:
        path.write_bytes(compress(CONTENT)[:-9])
        with pytest.raises(InputError, match="truncated or broken"):
            read_content(path, "text")


def test_named_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(CONTENT,))
    writer.start()
    content = read_content(pipe, "text")
    writer.join()
    assert content == CONTENT
    with file_with(pipe, content) as plain:
        assert plain.read_bytes() == CONTENT


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(CONTENT))))
    assert read_content("-", "text") == CONTENT


def test_name_that_is_not_utf8(odd_name: Path) -> None:
    assert not is_unicode(odd_name)
    with unicode_path(odd_name) as plain:
        assert is_unicode(plain)
        plain.write_bytes(CONTENT)
    assert odd_name.read_bytes() == CONTENT
    assert read_content(odd_name, "text") == CONTENT
    with file_with(odd_name, CONTENT) as plain:
        assert is_unicode(plain)
        assert plain.read_bytes() == CONTENT


def test_plain_files_are_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(CONTENT)
    with file_with(path, CONTENT) as plain:
        assert plain == path


@pytest.mark.parametrize(
    ("name", "says"), [("no", "no such file"), ("", "is a folder"), ("a\0b", "cannot be read")]
)
def test_what_cannot_be_read(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_content(f"{tmp_path}/{name}", "text")
