"""What sampling asks of a data set: its labels, and the picture of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

if TYPE_CHECKING:
    from seqtrack.data.imaging.crops import CropMap


class TrackLike(Protocol):
    """One target through one video; N labelled frames. See `seqtrack.data.indexing.index.Track`."""

    @property
    def frames(self) -> NDArray[Any]: ...  # (N,) int, increasing, number in the video
    @property
    def boxes(self) -> NDArray[Any]: ...  # (N, 4) float64, x y w h in pixels of the original image
    @property
    def present(self) -> NDArray[Any]: ...  # (N,) bool
    @property
    def visibility(self) -> NDArray[Any]: ...  # (N,) float16, share of the target that can be seen


class IndexLike(Protocol):
    """What is used of an `Index`; all but the first line only by filters and negative pairs."""

    @property
    def num_tracks(self) -> int: ...
    def track(self, k: int, /) -> TrackLike: ...
    def track_video(self, k: int, /) -> int: ...
    def video_size(self, v: int, /) -> tuple[int, int]: ...

    @property
    def fingerprint(self) -> str: ...  # of all that it says
    def tracks_of(self, v: int, /) -> Sequence[int]: ...
    def video_name(self, v: int, /) -> str: ...
    def track_name(self, k: int, /) -> str: ...
    @property
    def categories(self) -> Sequence[str]: ...
    @property
    def track_categories(self) -> NDArray[Any]: ...  # (T,) int, places in `categories`


class DatasetLike(Protocol):
    """What is used of `seqtrack.data.datasets.Dataset`."""

    @property
    def index(self) -> IndexLike: ...
    def picture_size(self, v: int, /) -> tuple[int, int] | None: ...
    def stored(self, k: int, /) -> NDArray[Any] | None: ...
    def read_target(self, k: int, row: int, /) -> tuple[bytes, CropMap | None]: ...
    def describe_target(self, k: int, row: int, /) -> str: ...
