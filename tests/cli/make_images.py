"""Makes the command-line tests' tiny data in the directory given: 12x12 grey pictures of four classes (bars in four
directions, with noise) as IDX files, .gz too, as single PGM files with a list, and 32x32 colour ones as CIFAR-100
records. Seeded: always the same bytes."""
import gzip
import os
import random
import struct
import sys

SIDE, CLASSES = 12, 4
TRAIN, VALID = 192, 64


def picture(rng, label, side):
    """Bytes [side][side] of a bright bar on noise."""
    at = rng.randrange(side // 3, side - side // 3)
    rows = []
    for y in range(side):
        for x in range(side):
            distance = [abs(y - at), abs(x - at), abs(x - y + at - side // 2), abs(x + y - side + at - side // 2)][label]
            value = rng.randrange(60) + (170 if distance < max(1, side // 8) else 0)
            rows.append(value)
    return bytes(rows)


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def write_set(directory, name, count, rng):
    labels = [i % CLASSES for i in range(count)]
    rng.shuffle(labels)
    pictures = [picture(rng, label, SIDE) for label in labels]
    images = struct.pack(">IIII", 0x803, count, SIDE, SIDE) + b"".join(pictures)
    truths = struct.pack(">II", 0x801, count) + bytes(labels)
    for kind, data in (("images", images), ("labels", truths)):
        write(os.path.join(directory, "%s-%s.idx" % (name, kind)), data)
        write(os.path.join(directory, "%s-%s.idx.gz" % (name, kind)), gzip.compress(data, mtime=0))
    return labels, pictures


def write_list(directory, name, labels, pictures, count):
    words = ["rows", "columns", "falling", "rising"]
    folder = os.path.join(directory, "pictures")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(directory, name + ".list"), "w") as listing:
        for i in range(count):
            path = os.path.join(folder, "%s%d_%s.pgm" % (name, i, words[labels[i]]))
            write(path, b"P5\n%d %d\n255\n" % (SIDE, SIDE) + pictures[i])
            listing.write(path + "\n")


def write_cifar(directory, name, count, rng):
    records = []
    for i in range(count):
        label = i % CLASSES
        records.append(bytes([0, label]) + b"".join(picture(rng, label, 32) for _ in range(3)))
    write(os.path.join(directory, "cifar-%s.bin" % name), b"".join(records))


def main():
    directory = sys.argv[1]
    rng = random.Random(1)
    for name, count in (("train", TRAIN), ("valid", VALID)):
        labels, pictures = write_set(directory, name, count, rng)
        write_list(directory, name, labels, pictures, 24)
        write_cifar(directory, name, 24, rng)
    with open(os.path.join(directory, "tiny.names"), "w") as file:
        file.write("rows\ncolumns\nfalling\nrising\n")
    idx = "classes=4\ntop=2\nnames=tiny.names\nbackup=backup\n" + "".join(
        "%s=%s-images.idx%s\n%s_labels=%s-labels.idx%s\n" % (part, part, end, part, part, end)
        for part, end in (("train", ""), ("valid", ".gz")))
    files = {"tiny.data": idx,
             "list.data": "classes=4\ntrain=train.list\nvalid=valid.list\nlabels=tiny.names\nbackup=backup-list\n",
             "cifar.data": "classes=4\nformat=cifar100\ntrain=cifar-train.bin\nvalid=cifar-valid.bin\nbackup=backup-cifar\n"}
    for name, text in files.items():
        with open(os.path.join(directory, name), "w") as file:
            file.write(text)


if __name__ == "__main__":
    main()
