"""Trains a small convolutional network on pictures that it draws; run inside a release that holds TensorFlow.

usage: python -I -S tests/models/train_cnn.py SITE FOLDER

Writes to FOLDER: `savedmodel/`, `net.keras`, `net.h5`, `representative.npy` (300 pictures to calibrate with) and `test.npy`
(500 others), and prints the accuracy on those.
"""

import sys
from pathlib import Path

SIZE = 24
CLASSES = 6


def draw(generator, count):
    """Pictures of stripes, checks, rings and slopes in noise: (count, SIZE, SIZE, 1) from 0 to 1, and their classes."""
    import numpy as np

    row, column = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    labels = generator.integers(0, CLASSES, count)
    pictures = np.empty((count, SIZE, SIZE, 1), np.float32)
    for number, label in enumerate(labels):
        phase, period = generator.random() * 6.28, generator.uniform(3, 5)
        wave = {
            0: np.sin(row * 6.28 * period + phase),
            1: np.sin(column * 6.28 * period + phase),
            2: np.sin((row + column) * 6.28 * period + phase),
            3: np.sin(row * 6.28 * period + phase) * np.sin(column * 6.28 * period + phase),
            4: np.sin(np.hypot(row - 0.5, column - 0.5) * 6.28 * 2 * period + phase),
            5: np.cos(phase) * (row - 0.5) * 2 + np.sin(phase) * (column - 0.5) * 2,
        }[int(label)]
        noisy = wave * generator.uniform(0.6, 1) + generator.normal(0, 0.7, wave.shape)
        pictures[number, :, :, 0] = np.clip(noisy / 2 + 0.5, 0, 1)
    return pictures, labels


def main():
    """Train and save."""
    site, folder = sys.argv[1], Path(sys.argv[2])
    sys.path.insert(0, site)
    import numpy as np
    import tensorflow as tf

    tf.keras.utils.set_random_seed(4)
    generator = np.random.default_rng(4)
    x, y = draw(generator, 3000)
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            layers.Conv2D(16, 3, activation="relu", input_shape=(SIZE, SIZE, 1)),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=4, batch_size=64, verbose=0)
    test, labels = draw(generator, 500)
    print("accuracy", model.evaluate(test, labels, verbose=0)[1])
    folder.mkdir(parents=True, exist_ok=True)
    model.export(folder / "savedmodel")
    model.save(folder / "net.keras")
    model.save(folder / "net.h5")
    np.save(folder / "representative.npy", draw(generator, 300)[0])
    np.save(folder / "test.npy", test)


if __name__ == "__main__":
    main()
