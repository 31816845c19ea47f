"""One trial trained, one checkpoint assessed, one run summarised: what every executor calls."""
