"""Three updates by train_network against the weights that `classifier train` left after the same three.
    python_training.py CFG LIST NAMES WEIGHTS"""
import os
import sys

import numpy

sys.path.insert(0, os.path.join(os.environ["ROOT"], "scripts"))
import darknet  # noqa: E402


def read_floats(path):
    with open(path, "rb") as file:
        return numpy.frombuffer(file.read()[20:], numpy.float32).astype(float)


def rows(list_path, names_path):
    names = open(names_path).read().split()
    images, truths = [], []
    for path in open(list_path).read().split():
        im = darknet.load_image(path.encode(), 0, 0)
        images.append(numpy.ctypeslib.as_array(im.data, (im.c * im.h * im.w,)).copy())
        darknet.free_image(im)
        label = os.path.splitext(path)[0].split("_")[-1]
        truths.append([float(name == label) for name in names])
    return images, truths


def main():
    cfg, list_path, names_path, weights = sys.argv[1:]
    images, truths = rows(list_path, names_path)
    with darknet.Network(cfg) as net:
        net.save_weights("initial.weights")
        losses = [net.train(images, truths) for _ in range(3)]
        net.save_weights("trained.weights")
        net.batch = 2
        answers = net.predict(numpy.concatenate(images[:2]))
        net.batch = 1
        assert numpy.allclose(answers[1], net.predict(images[1])[0], atol=1e-6)
        try:
            net.train(images[:1], [[1.0] * 3])
        except darknet.Error:
            pass
        else:
            raise AssertionError("rows of another length were taken")
    assert losses[2] < losses[0], losses
    before, wanted, got = (read_floats(path) for path in ("initial.weights", weights, "trained.weights"))
    change = numpy.abs(wanted - before).max()
    error = numpy.abs(wanted - got).max()
    assert change > 1e-3 and error < 1e-4 * change, (change, error)
    print("3 updates: the largest change of a weight is %g, the largest difference %g" % (change, error))


main()
