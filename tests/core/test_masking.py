import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.core.masking import Secrets

PLAIN = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=6, max_size=20)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pass@host/simple", "https://***@host/simple"),
        ("https://token@host/simple", "https://***@host/simple"),
        ("https://me:pa/ss@host/simple", "https://***@host/simple"),
        ("https://me:pa ss@host/simple", "https://***@host/simple"),
        ("https://me:p@ss@host/simple", "https://***@host/simple"),
        ("x @ https://me:pass@host:80/x.whl and more", "x @ https://***@host:80/x.whl and more"),
        ("https://host:8080/pkg@1.0", "https://host:8080/pkg@1.0"),
        ("https://host/@scope/pkg@1.0", "https://host/@scope/pkg@1.0"),
        ("https://host/x.whl?X-Amz-Signature=abc&b=c", "https://host/x.whl?X-Amz-Signature=***&b=c"),
        ("https://host/x.whl?access_token=abc#f", "https://host/x.whl?access_token=***#f"),
        ("me@example.com wrote 'https://host'", "me@example.com wrote 'https://host'"),
    ],
)
def test_credentials_in_urls(text, shown):
    assert Secrets().hide(text) == shown


@given(user=PLAIN, password=PLAIN, filler=st.sampled_from(["", " ", "/", "%2F", "@", ":"]))
def test_a_password_that_was_learned_is_hidden_wherever_it_stands(user, password, filler):
    secrets, secret = Secrets(), f"{password}{filler}XyZ1"
    secrets.learn([f"https://{user}:{secret}@host/simple"])
    for shown in (
        secret,
        f"cut {secret.rsplit(maxsplit=1)[-1]} off",
        f"http://other/{secret}",
        f"a {secret} b {secret}",
    ):
        hidden = secrets.hide(shown)
        assert secret not in hidden
        assert "XyZ1" not in hidden or filler == "@"


def test_short_words_are_left_alone():
    secrets = Secrets()
    secrets.learn(["https://me:six@host"])
    assert secrets.hide("six==1.16.0") == "six==1.16.0"
