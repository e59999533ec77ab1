"""Trains a small Keras network that tells circles, crosses and squares apart. usage: python docs/tutorial/train.py FOLDER

Writes to FOLDER: model/ with net.keras and labels.txt, typical.npy (pictures to calibrate with), others.npy (pictures that it
has not seen), circle.png, and event.json, what API Gateway sends when somebody posts that picture.
"""

import base64
import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

SIZE = 28
NAMES = ("circle", "cross", "square")


def draw(generator: np.random.Generator, shape: int) -> np.ndarray:
    """A grey picture of a shape somewhere, from 0 to 1."""
    row, column = np.mgrid[0:SIZE, 0:SIZE]
    middle, radius = generator.uniform(10, 18, 2), generator.uniform(5, 9)
    down, right = np.abs(row - middle[0]), np.abs(column - middle[1])
    distance = (
        np.abs(np.hypot(down, right) - radius),
        np.where(np.maximum(down, right) < radius, np.abs(down - right), SIZE),
        np.abs(np.maximum(down, right) - radius),
    )[shape]
    picture = np.clip(2 - distance, 0, 1) + generator.normal(0, 0.1, (SIZE, SIZE))
    return np.clip(picture, 0, 1).astype(np.float32)[:, :, None]


def main() -> None:
    """Draw, train, save."""
    folder = Path(sys.argv[1])
    (folder / "model").mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(1)
    tf.keras.utils.set_random_seed(1)
    labels = generator.integers(0, len(NAMES), 2000)
    pictures = np.stack([draw(generator, label) for label in labels])
    layers = tf.keras.layers
    network = tf.keras.Sequential(
        [
            layers.Conv2D(16, 3, activation="relu", input_shape=(SIZE, SIZE, 1)),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(len(NAMES), activation="softmax"),
        ]
    )
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    network.fit(pictures[200:], labels[200:], epochs=3, verbose=0)
    print(f"accuracy {network.evaluate(pictures[:200], labels[:200], verbose=0)[1]:.2f}")
    trained = tf.keras.models.clone_model(network)  # without the optimizer's state, which is twice the weights
    trained.set_weights(network.get_weights())
    trained.save(folder / "model" / "net.keras")
    (folder / "model" / "labels.txt").write_text("\n".join(NAMES) + "\n")
    np.save(folder / "typical.npy", pictures[200:400])
    np.save(folder / "others.npy", pictures[:200])
    png = tf.io.encode_png(tf.cast(draw(generator, 0) * 255, tf.uint8)).numpy()
    (folder / "circle.png").write_bytes(png)
    event = {"body": base64.b64encode(png).decode(), "isBase64Encoded": True}
    (folder / "event.json").write_text(json.dumps(event))


if __name__ == "__main__":
    main()
