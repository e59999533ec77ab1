# ruff: noqa: N803 - operations take boto3's own parameter names
"""Published versions of the functions, as configurations that stay, and the aliases that lead to them."""

import threading
from typing import Any

from devtools.lambda_sandbox.functions import Functions
from devtools.lambda_sandbox.rest_json import ServiceError


class Versions:
    """Versions can be read and led to; they are not invoked here."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._aliases: dict[str, dict[str, dict[str, Any]]] = {}
        self._lock = threading.RLock()

    def publish_version(self, *, FunctionName: str, CodeSha256: str | None = None) -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/api/API_PublishVersion.html"""
        return self._functions.publish(FunctionName, CodeSha256)

    def create_alias(self, *, FunctionName: str, Name: str, FunctionVersion: str, **rest: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/api/API_CreateAlias.html"""
        with self._lock:
            aliases = self._of(FunctionName)
            if Name in aliases:
                raise ServiceError("ResourceConflictException", f"Alias already exists: {Name}")
            aliases[Name] = self._alias(FunctionName, Name, FunctionVersion) | rest
            return aliases[Name]

    def update_alias(self, *, FunctionName: str, Name: str, FunctionVersion: str) -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/api/API_UpdateAlias.html"""
        with self._lock:
            aliases = self._of(FunctionName)
            if Name not in aliases:
                raise ServiceError("ResourceNotFoundException", f"Cannot find alias arn: {FunctionName}:{Name}")
            aliases[Name] |= self._alias(FunctionName, Name, FunctionVersion)
            return aliases[Name]

    def list_aliases(self, *, FunctionName: str, Marker: str = "") -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/api/API_ListAliases.html: one a page, so that pages are followed."""
        with self._lock:
            aliases = list(self._of(FunctionName).values())
        at = int(Marker or 0)
        return {"Aliases": aliases[at : at + 1]} | ({"NextMarker": str(at + 1)} if at + 1 < len(aliases) else {})

    def _of(self, function: str) -> dict[str, dict[str, Any]]:
        return self._aliases.setdefault(
            self._functions.get_function_configuration(FunctionName=function)["FunctionArn"], {}
        )

    def _alias(self, function: str, name: str, version: str) -> dict[str, Any]:
        found = self._functions.get_function_configuration(FunctionName=function, Qualifier=version)
        arn = found["FunctionArn"].removesuffix(f":{version}")
        return {"AliasArn": f"{arn}:{name}", "Name": name, "FunctionVersion": version}
