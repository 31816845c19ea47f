"""ArrayRecord shards of tf.train.Example records, as TensorFlow Datasets keeps them, without TensorFlow.

A builder's folder holds ``features.json``, ``dataset_info.json`` and the shards. TFDS writes examples through
TensorFlow; here they are written as what they are, protocol buffers, and ``tfds.data_source`` reads them back.
tensorflow_datasets (0.3 s) and array_record are imported when they are used.
"""

from __future__ import annotations

import bisect
import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqtrack.errors import DataError, UserError
from seqtrack.runs.atomic import replacing, write_json

INFO, FEATURES = "dataset_info.json", "features.json"
# One record a group, or a random read would decompress its neighbours; JPEGs do not become smaller.
_WRITER_OPTIONS = "group_size:1,uncompressed"
_READER_OPTIONS = "readahead_buffer_size:0"
_READER_BYTES = 32 << 10
_UNREADABLE = (ValueError, RuntimeError, IndexError, OSError)

Value = Sequence[bytes] | np.ndarray[Any, Any]
Example = Mapping[str, Value]
"""Key of a TFDS feature → its values, flat: bytes, integers or floats."""


def need(module: str) -> Any:
    """A module of the extra ``tfds``. UserError that says how to get it."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(f"{module} is not installed; it comes with: pip install 'seqtrack[tfds]'") from error


class Shards:
    """Records of several ArrayRecord files, numbered through. Safe after a fork, cheap to pickle."""

    def __init__(self, paths: Sequence[Path], lengths: Sequence[int]) -> None:
        self._paths, self._lengths = list(paths), list(lengths)
        self._ends = list(itertools.accumulate(lengths))
        self._readers: dict[int, Any] = {}
        self._owner = os.getpid()
        self._inherited: list[dict[int, Any]] = []

    @property
    def count(self) -> int:
        """Of records, as ``dataset_info.json`` says; ``check`` compares that with the files."""
        return self._ends[-1] if self._ends else 0

    def check(self) -> None:
        """DataError when a shard is not there or has another number of records: whoever counts to what a damaged file
        says may never end."""
        for shard in range(len(self._paths)):
            if shard not in self._readers:
                self._open(shard).close()

    def __reduce__(self) -> tuple[Callable[..., Shards], tuple[Any, ...]]:
        return Shards, (self._paths, self._lengths)

    def read(self, record: int) -> bytes:
        """DataError that names the file when there is no such record, or it is damaged."""
        shard = bisect.bisect_right(self._ends, record)
        if not 0 <= record < self.count:
            raise DataError(f"{self._paths[0].parent if self._paths else 'no file'}: there is no record {record}")
        within = record - (self._ends[shard] - self._lengths[shard])
        reader = self._reader(shard)
        try:
            (data,) = reader.read([within])
        except _UNREADABLE as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{self._paths[shard]}, record {within}: cannot be read ({reason})") from error
        return bytes(data)

    def _reader(self, shard: int) -> Any:
        if self._owner != os.getpid():
            # A reader has threads, which a fork does not bring along: to use or even to end it here would hang.
            self._inherited.append(self._readers)
            self._readers, self._owner = {}, os.getpid()
        if shard not in self._readers:
            self._readers[shard] = self._open(shard)
        return self._readers[shard]

    def _open(self, shard: int) -> Any:
        module = need("array_record.python.array_record_module")
        path, length = self._paths[shard], self._lengths[shard]
        try:
            if not path.is_file():
                raise DataError(f"{path}: there is no such file; is the data set complete?")
            reader = module.ArrayRecordReader(
                str(path), options=_READER_OPTIONS, file_reader_buffer_size=_READER_BYTES
            )
            count = reader.num_records()
        except _UNREADABLE as error:
            raise DataError(f"{path}: cannot be opened ({' '.join(str(error).split())})") from error
        if count != length:
            raise DataError(
                f"{path}: {count} records where {INFO} says {length};"
                " it is cut short or another version: copy or prepare it again"
            )
        return reader

    def close(self) -> None:
        if self._owner == os.getpid():
            for reader in self._readers.values():
                reader.close()
            self._readers = {}


def parse(record: bytes, where: str) -> Any:
    """The features of a tf.train.Example by key."""
    protos = need("tensorflow_datasets.proto")
    try:
        return protos.tf_example_pb2.Example.FromString(record).features.feature
    except Exception as error:  # google.protobuf's DecodeError, which has moved between its versions
        raise DataError(f"{where}: no tf.train.Example ({error})") from error


def serialise(example: Example) -> bytes:
    """A tf.train.Example; the same values give the same bytes."""
    protos = need("tensorflow_datasets.proto")
    examples, kinds = protos.tf_example_pb2, protos.tf_feature_pb2

    def feature(value: Value) -> Any:
        if not isinstance(value, np.ndarray):
            return kinds.Feature(bytes_list=kinds.BytesList(value=value))
        flat = value.ravel()
        if flat.dtype.kind == "f":
            return kinds.Feature(float_list=kinds.FloatList(value=flat.astype(np.float32)))
        return kinds.Feature(int64_list=kinds.Int64List(value=flat.astype(np.int64)))

    features = kinds.Features(feature={key: feature(value) for key, value in example.items()})
    data: bytes = examples.Example(features=features).SerializeToString(deterministic=True)
    return data


def write_shard(path: Path, examples: Iterable[Example]) -> tuple[int, int]:
    """One shard, whole or not at all; (records, bytes of records)."""
    module = need("array_record.python.array_record_module")
    count = size = 0
    with replacing(path) as temporary:
        writer = module.ArrayRecordWriter(str(temporary), _WRITER_OPTIONS)
        try:
            for example in examples:
                record = serialise(example)
                writer.write(record)
                count, size = count + 1, size + len(record)
        finally:
            writer.close()
    return count, size


def shard_name(name: str, split: str, number: int) -> str:
    return f"{name}-{split}.array_record-{number:05d}"


def write_info(
    folder: Path, name: str, description: str, features: Any, splits: Mapping[str, Sequence[tuple[int, int]]]
) -> None:
    """``features.json`` and ``dataset_info.json``: with them the folder is a builder (version 1.0.0).

    Args:
        splits: (records, bytes) of each shard of each split.
    """
    features.save_config(str(folder))
    info = {
        "name": name,
        "version": "1.0.0",
        "description": description,
        "fileFormat": "array_record",
        "moduleName": "seqtrack",
        "splits": [
            {
                "name": split,
                "shardLengths": [str(count) for count, _ in shards],
                "numBytes": str(sum(size for _, size in shards)),
                # No count of shards in the name: so it is known before the last of them is written.
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_INDEX}",
            }
            for split, shards in splits.items()
        ],
    }
    write_json(folder / INFO, info)
