"""From bytes on disk to training pairs. No torch.

formats/          the layouts in which data sets are published, one module each
indexing/         their labels in one file, opened in milliseconds
storage/          where the bytes of frames lie, and how they get onto the node
preprocessing/    smaller versions, made once
imaging/          decoding and cropping
sampling/         which pairs training sees, and how they are changed
exchange/         packing; other systems' files, written and read
arrays/           arrays in files, mapped into memory
processes.py, working_folder.py    work shared among processes; a folder that one at a time works in
locations.py, datasets.py    from the flags that say where data lie to an opened data set
"""
