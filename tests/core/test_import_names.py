import pytest

from efsprov.core.import_names import import_names


@pytest.mark.parametrize(
    ("name", "files", "top_level", "expected"),
    [
        ("tensorflow", ["tensorflow/__init__.py", "third_party/gpus/__init__.py", "tensorflow/core.py"], [], ("tensorflow",)),
        ("scikit-learn", ["sklearn/__init__.py", "sklearn/svm/__init__.py", "scikit_learn.libs/x.so"], ["sklearn"], ("sklearn",)),
        ("opencv-python-headless", ["cv2/__init__.py", "cv2/cv2.abi3.so", "opencv_python_headless.libs/a.so"], [], ("cv2",)),
        ("protobuf", ["google/protobuf/__init__.py", "google/_upb/_message.abi3.so"], [], ("google.protobuf",)),
        ("google-auth", ["google/auth/__init__.py", "google/oauth2/__init__.py"], ["google"], ("google.auth",)),
        ("google-cloud-storage", ["google/cloud/storage/__init__.py"], [], ("google.cloud.storage",)),
        ("six", ["six.py"], ["six"], ("six",)),
        ("pyyaml", ["yaml/__init__.py", "_yaml/__init__.py"], ["_yaml", "yaml"], ("yaml",)),
        ("attrs", ["attr/__init__.py", "attrs/__init__.py"], [], ("attrs",)),
        ("setuptools", ["setuptools/__init__.py", "pkg_resources/__init__.py", "_distutils_hack/__init__.py"], [], ("setuptools",)),
        ("pillow", ["PIL/__init__.py", "PIL/_imaging.cpython-311-x86_64-linux-gnu.so"], [], ("PIL",)),
        ("python-dateutil", ["dateutil/__init__.py", "tests/__init__.py"], [], ("dateutil",)),
        ("mixed", ["one/__init__.py", "two.py", "examples/x.py"], [], ("one", "two")),
        ("native", ["native.cpython-311-x86_64-linux-gnu.so"], [], ("native",)),
        ("types-requests", ["requests-stubs/__init__.pyi"], [], ()),
        ("tensorflow-meta", ["tensorflow_meta-1.dist-info/METADATA"], [], ()),
        ("data", ["data/file.bin", "share/doc/x.py"], [], ()),
    ],
)  # fmt: skip
def test_import_names(name, files, top_level, expected):
    assert import_names(name, files, top_level) == expected
