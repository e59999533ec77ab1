import pytest

from efsprov.pipeline.resolve.uv_failure import Kind, understand

NO_SOLUTION = "error: No solution found when resolving dependencies\n  cause: "
# What uv 0.13.8 says.
MESSAGES = [
    (
        NO_SOLUTION
        + "Because tensorflow==2.15.0 has no wheels with a matching Python ABI tag (e.g., `cp312`) and you require "
        "tensorflow==2.15, we can conclude that your requirements are unsatisfiable.\n\nhint: You require CPython 3.12 "
        "(`cp312`), but we only found wheels for `tensorflow` (v2.15.0) with the following Python ABI tags: `cp39`",
        Kind.NO_WHEEL,
        "tensorflow",
        ("Because tensorflow==2.15.0 has no wheels with a matching Python ABI tag (e.g., `cp312`) and you require "
        "tensorflow==2.15, there is no solution."),
    ),
    (
        NO_SOLUTION + "Because onnxruntime>=1.20.1 has no wheels with a matching platform tag (e.g., "
        "`manylinux_2_17_x86_64`) and you require onnxruntime>=1.20.1, we can conclude that your requirements are unsatisfiable.",
        Kind.NO_WHEEL,
        "onnxruntime",
        ("Because onnxruntime>=1.20.1 has no wheels with a matching platform tag (e.g., `manylinux_2_17_x86_64`) and you "
        "require onnxruntime>=1.20.1, there is no solution."),
    ),
    (
        NO_SOLUTION + "Because sgmllib3k==1.0.0 has no usable wheels and only sgmllib3k==1.0.0 is available, we can "
        "conclude that all versions of sgmllib3k cannot be used.\n         And because you require sgmllib3k, we can "
        "conclude that your requirements are unsatisfiable.\n\nhint: Wheels are required for `sgmllib3k`",
        Kind.NO_WHEEL,
        "sgmllib3k",
        ("Because sgmllib3k==1.0.0 has no usable wheels and only sgmllib3k==1.0.0 is available, we can conclude that all "
        "versions of sgmllib3k cannot be used. And because you require sgmllib3k, there is no solution."),
    ),
    (
        "warning: The requested Python version 3.12 is not available; 3.11.7 will be used to build dependencies "
        "instead.\n" + NO_SOLUTION + "Because nosuch-xyzzy was not found in the package registry and you require "
        "nosuch-xyzzy, we can conclude that your requirements are unsatisfiable.",
        Kind.UNKNOWN_PACKAGE,
        "nosuch-xyzzy",
        "Because nosuch-xyzzy was not found in the package registry and you require nosuch-xyzzy, there is no solution.",
    ),
    (
        NO_SOLUTION + "Because six was not found in the provided package locations and you require six, we can conclude "
        "that your requirements are unsatisfiable.",
        Kind.UNKNOWN_PACKAGE,
        "six",
        "Because six was not found in the provided package locations and you require six, there is no solution.",
    ),
    (
        NO_SOLUTION + "Because there is no version of tensorflow==9.9 and you require tensorflow==9.9, we can conclude "
        "that your requirements are unsatisfiable.",
        Kind.NO_VERSION,
        "tensorflow",
        "Because there is no version of tensorflow==9.9 and you require tensorflow==9.9, there is no solution.",
    ),
    (
        NO_SOLUTION + "Because only tensorflow<=2.22.0rc0 is available and you require tensorflow>=99, we can conclude "
        "that your requirements are unsatisfiable.",
        Kind.NO_VERSION,
        "tensorflow",
        "Because only tensorflow<=2.22.0rc0 is available and you require tensorflow>=99, there is no solution.",
    ),
    (
        NO_SOLUTION + "Because tensorflow==2.15.0 depends on numpy>=1.23.5,<2.0.0 and you require tensorflow==2.15, we "
        "can conclude that you require numpy>=1.23.5,<2.0.0.\n         And because you require numpy==2.0, we can "
        "conclude that your requirements are unsatisfiable.",
        Kind.CONFLICT,
        "",
        ("Because tensorflow==2.15.0 depends on numpy>=1.23.5,<2.0.0 and you require tensorflow==2.15, we can conclude that "
        "you require numpy>=1.23.5,<2.0.0. And because you require numpy==2.0, there is no solution."),
    ),
    (
        ("error: Request failed after 3 retries in 8.1s\n  cause: Failed to fetch: http://127.0.0.1:9/simple/six/\n  cause: "
        "error sending request for url (http://127.0.0.1:9/simple/six/)\n  cause: client error (Connect)\n  cause: tcp "
        "connect error\n  cause: Connection refused (os error 111)"),
        Kind.UNREACHABLE,
        "http://127.0.0.1:9/simple/six/",
        "Connection refused (os error 111)",
    ),
    (
        "error: Couldn't parse requirement in `/x/requirements.txt` at position 17\n  cause: no such comparison operator",
        Kind.FILE,
        "",
        "Couldn't parse requirement in `/x/requirements.txt` at position 17 no such comparison operator",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("message", "kind", "subject", "explanation"), MESSAGES)
def test_what_uv_says_is_understood(message, kind, subject, explanation):
    failure = understand(message)
    assert (failure.kind, failure.subject) == (kind, subject)
    assert failure.explanation == explanation


@pytest.mark.parametrize(
    ("message", "kind", "explanation"),
    [
        ("error: the moon is full\n", Kind.OTHER, "the moon is full"),
        (
            "error: Failed to parse environment variable `UV_HTTP_TIMEOUT` with invalid value `abc`",
            Kind.SETTING,
            "Failed to parse environment variable `UV_HTTP_TIMEOUT` with invalid value `abc`",
        ),
        (
            "error: Failed to read `--find-links` directory: /nowhere\n  cause: No such file or directory (os error 2)",
            Kind.SETTING,
            "Failed to read `--find-links` directory: /nowhere No such file or directory (os error 2)",
        ),
        (NO_SOLUTION + "whatever uv may say one day", Kind.CONFLICT, "whatever uv may say one day"),
        ("error: bad\n\nhint: An index URL (http://h/s) could not be queried due to a lack of it (401 Unauthorized)", Kind.UNREACHABLE, "a lack of it (401 Unauthorized)"),
    ],
)  # fmt: skip
def test_other_failures(message, kind, explanation):
    failure = understand(message)
    assert (failure.kind, failure.explanation) == (kind, explanation)
