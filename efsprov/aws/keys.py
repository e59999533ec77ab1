"""EC2 key pairs whose private half AWS never sees."""

from collections.abc import Mapping

from efsprov.aws.errors import code_of
from efsprov.aws.session import Aws
from efsprov.aws.tagging import tag_specification
from efsprov.core.errors import AwsError


def import_key(aws: Aws, name: str, public_key: str, tags: Mapping[str, str]) -> str:
    """Import a public key (OpenSSH's one-line form) and return the key pair's id.

    ImportKeyPair has no client token. The name is its run's own, so a key that is there already under that name is
    from the same run: either this call's lost reply, or an attempt whose private key is gone; it is replaced.
    """

    def send() -> str:
        return aws.ec2.import_key_pair(
            KeyName=name, PublicKeyMaterial=public_key.encode(), TagSpecifications=[tag_specification("key-pair", tags)]
        )["KeyPairId"]

    try:
        return aws.call(send)
    except AwsError as error:
        if code_of(error) != "InvalidKeyPair.Duplicate":
            raise
        delete_key(aws, name)
        return aws.call(send)


def delete_key(aws: Aws, name: str) -> None:
    """Delete a key pair by name; one that is not there counts as deleted."""
    try:
        aws.call(lambda: aws.ec2.delete_key_pair(KeyName=name))
    except AwsError as error:
        if code_of(error) != "InvalidKeyPair.NotFound":
            raise
