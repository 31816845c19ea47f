"""``python -m seqtrack VERB …``: the same as the console command, where it is not on PATH."""

from seqtrack.tools.main import console

if __name__ == "__main__":
    console()
