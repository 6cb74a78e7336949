"""Where results are kept, over fsspec: listing, reading, writing whole objects, removing."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

from ..errors import StoreError
from .format import Buffer

#: Of S3, so that a server that is away is noticed in seconds. fsspec repeats by itself.
_S3 = {"connect_timeout": 5, "read_timeout": 10, "retries": {"total_max_attempts": 1}}
#: How the names of files begin that are not written yet.
_UNFINISHED = ".unfinished-"
#: Seconds after which such a file is nobody's any more.
_ABANDONED = 24 * 3600.0
#: Bytes a second that reading is given at least, besides the time for an answer.
_SLOWEST = 2**20
#: How many objects are read at once, and about how many bytes.
_AT_ONCE, _BYTES_AT_ONCE = 64, 32 * 2**20
#: How often a file is begun whose folder is taken away meanwhile.
_BEGINNINGS = 5
#: Seconds that a store has to answer whoever reads.
ANSWER = 15.0
_PAUSE = 0.5
_FINAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOTDIR}
#: Of HTTP: the server asks to be asked again.
_TOO_BUSY = {408, 429}

T = TypeVar("T")


class Found(NamedTuple):
    """An object of a store: its name within it, its bytes, and when it was written.

    Of a file system that does not say when, it was just now.
    """

    name: str
    size: int
    changed: datetime


class Store:
    """Where results are kept: ``file:///data/aer``, ``s3://bucket/prefix``, or a path of a folder.

    Args:
        url: any URL of fsspec. S3 needs the extra ``aer-dask[s3]``.
        storage_options: what fsspec's file system takes, such as ``endpoint_url``, ``key`` and
            ``secret`` of S3. Better than here, secrets are where the library looks for them:
            environment variables, files, the pod's role.

    Raises:
        StoreError: for a URL that can never work, or whose package is missing.
    """

    def __init__(self, url: str | os.PathLike[str], **storage_options: Any) -> None:
        self.url = str(url) if "://" in str(url) else _url_of(url)
        self.storage_options = storage_options
        _ = self._place

    @classmethod
    def of(cls, given: Store | str | os.PathLike[str]) -> Store:
        """A store, from what a user calls it.

        Raises:
            StoreError: as the constructor, and for what is neither URL nor path.
        """
        if isinstance(given, Store):
            return given
        if isinstance(given, (str, os.PathLike)) and str(given):
            return cls(given)
        raise StoreError(
            f"store={given!r} is no place for results. Give a URL such as "
            '"file:///data/aer" or "s3://bucket/prefix", a folder, or an aer_dask.store.Store.'
        )

    def __str__(self) -> str:
        if self.url.startswith("file://"):
            return self.url
        # a password may be in it, or a token in what is asked for
        return re.sub(r"\?.*", "?...", re.sub(r"(?<=://)[^/]*@", "", self.url))

    def __repr__(self) -> str:
        return f"Store({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Store) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(self.url)

    @property
    def _place(self) -> tuple[fsspec.AbstractFileSystem, str]:
        """The file system, which fsspec keeps, and the path in it."""
        try:
            options = self.storage_options
            if self.url.startswith(("s3://", "s3a://")):
                options = {**options, "config_kwargs": {**_S3, **options.get("config_kwargs", {})}}
            return fsspec.core.url_to_fs(self.url, **options)
        except ImportError as error:
            raise StoreError(
                f"The store {self} needs a package that is not installed: {error}. For S3: "
                'pip install "aer-dask[s3]".'
            ) from error
        except Exception as error:
            raise StoreError(
                f"The store {self} cannot be used: {error}. Give a URL such as "
                '"file:///data/aer" or "s3://bucket/prefix".'
            ) from error

    @property
    def _folder(self) -> Path | None:
        """Where it is in the file system of this machine, if it is."""
        system, path = self._place
        return Path(path) if isinstance(system, LocalFileSystem) else None

    def list(self, folder: str) -> list[Found]:
        """All objects in a folder of the store, in the order of their names; none if it lacks it.

        Raises:
            StoreError: if the store does not answer within 15 seconds, or refuses.
        """
        system, root = self._place
        # what may not be listed is not empty, as fsspec has it of folders
        strictly = {} if self._folder is None else {"on_error": "raise"}

        def listed() -> list[Found]:
            system.invalidate_cache()
            try:
                found = system.find(f"{root}/{folder}", detail=True, **strictly)
            except FileNotFoundError:
                return []
            return sorted(
                Found(name[len(root) + 1 :], about["size"], _changed(about))
                for name, about in found.items()
                if not name.rpartition("/")[2].startswith(_UNFINISHED)
            )

        return self._answer(listed, ANSWER)

    def read(self, objects: Iterable[Found]) -> Iterator[tuple[str, Buffer | Exception]]:
        """Names of objects with what is in them, or why that cannot be read; in their order.

        Only some are held at a time.

        Raises:
            StoreError: as :meth:`list`, with more time for more bytes.
        """
        for some in _blocks(objects):
            found: dict[str, Buffer | Exception] = {}
            seconds = ANSWER + sum(each.size for each in some) / _SLOWEST
            try:
                self._answer(partial(self._read, some, found), seconds)
            except StoreError as error:
                if not found:
                    raise
                found = {each.name: found.get(each.name, error) for each in some}
            for each in some:
                yield each.name, found[each.name]

    def _read(self, objects: Iterable[Found], found: dict[str, Buffer | Exception]) -> None:
        """Read those that are not found yet; raises if the store is away for one of them."""
        system, root = self._place
        left = [each.name for each in objects if each.name not in found]
        # at once, where it can; and each name is what it says, and no pattern
        paths = [f"{root}/{name}" for name in left]
        read = system.cat_ranges(paths, None, None, on_error="return")
        away = None
        for name, data in zip(left, read, strict=True):
            if isinstance(data, Exception) and not is_final(data):
                away = data
            else:
                found[name] = data
        if away is not None:
            raise away

    def write(self, name: str, parts: Iterable[Buffer]) -> None:
        """Write an object: whole or not at all.

        Raises:
            Exception: what the file system raises.
        """
        system, root = self._place
        if (folder := self._folder) is not None:
            _write_aside(folder / name, parts)
        else:
            system.pipe_file(f"{root}/{name}", b"".join(parts))

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects; those that are gone count as removed.

        Raises:
            StoreError: as :meth:`list`.
        """
        system, root = self._place
        for name in names:

            def remove(path: str = f"{root}/{name}") -> None:
                with contextlib.suppress(FileNotFoundError):
                    system.rm_file(path)

            self._answer(remove, ANSWER)

    def tidy(self, *patterns: str) -> None:
        """Take away what is left of folders whose objects were removed, where there are folders.

        And in them files that clients have not finished which were killed, a day ago.
        """
        if (root := self._folder) is None:
            return
        for folder in chain.from_iterable(map(root.glob, patterns)):
            with contextlib.suppress(OSError):
                for path in folder.glob(f"{_UNFINISHED}*"):
                    if time.time() - path.stat().st_mtime > _ABANDONED:
                        path.unlink()
                folder.rmdir()

    def _answer(self, ask: Callable[[], T], seconds: float) -> T:
        """What the store answers, asked again while it is away, but no longer than so many."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return bounded(ask, deadline - time.monotonic())
            except Exception as error:
                left = deadline - time.monotonic()
                if is_final(error) or left < _PAUSE:
                    raise StoreError(f"The store {self} cannot be read: {reason(error)}") from error
                time.sleep(_PAUSE)


def bounded(call: Callable[[], T], seconds: float) -> T:
    """What a function gives within so many seconds; what never answers is left behind.

    Raises:
        TimeoutError: after those.
        Exception: what the function raises.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 (raised below)
            future.set_exception(error)

    threading.Thread(target=run, name="aer-store", daemon=True).start()
    try:
        return future.result(max(seconds, 0.0))
    except TimeoutError as error:
        if future.done():
            raise
        raise TimeoutError(f"it did not answer within {seconds:.0f} s") from error


def is_final(error: BaseException) -> bool:
    """Whether a store would refuse again: no permission, no room, no such bucket or folder."""
    answer = getattr(error.__cause__, "response", None)  # of S3, in the words of botocore
    status = answer["ResponseMetadata"]["HTTPStatusCode"] if answer else 0
    return (
        isinstance(error, (PermissionError, FileNotFoundError, NotADirectoryError))
        or getattr(error, "errno", None) in _FINAL
        or type(error).__name__ == "NoCredentialsError"  # botocore's, which is an extra
        or (400 <= status < 500 and status not in _TOO_BUSY)
    )


def reason(error: BaseException) -> str:
    """An error in words; some have none."""
    return (str(error) or type(error).__name__).rstrip(".") + "."


def _write_aside(path: Path, parts: Iterable[Buffer]) -> None:
    words = f"{_UNFINISHED}{os.getpid()}-{threading.get_ident()}-{path.name[:64]}"
    aside = path.with_name(words)
    try:
        with _begun(aside) as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise


def _begun(path: Path) -> BinaryIO:
    """A file in a folder that is made for it, even if somebody takes empty folders away."""
    for _ in range(_BEGINNINGS):
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            return path.open("wb")
    raise TimeoutError(f"{path.parent} is taken away again and again")


def _url_of(path: str | os.PathLike[str]) -> str:
    """The URL of a folder, in which nothing stands for something else: fsspec decodes nothing."""
    if re.match(r"[a-z][a-z0-9+.-]*:/", str(path)):
        raise StoreError(f"{path} is neither a URL nor a folder. A URL has two slashes: s3://...")
    return f"file://{Path(path).expanduser().absolute().as_posix()}"


def _changed(about: dict[str, Any]) -> datetime:
    """When an object was written, in the words of file systems and of S3."""
    moment = about.get("mtime", about.get("LastModified"))
    if isinstance(moment, datetime):
        return moment.astimezone(UTC)
    return datetime.now(UTC) if moment is None else datetime.fromtimestamp(moment, UTC)


def _blocks(objects: Iterable[Found]) -> Iterator[list[Found]]:
    """Some objects at a time, so that not all of them are held as bytes."""
    block: list[Found] = []
    size = 0
    for each in objects:
        if block and (len(block) == _AT_ONCE or size + each.size > _BYTES_AT_ONCE):
            yield block
            block, size = [], 0
        block.append(each)
        size += each.size
    if block:
        yield block
