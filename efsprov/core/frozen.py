"""The base of what is read from and written to JSON: values that do not change."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A document of ours, which a later efsprov may have written: fields that are not known here are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Exact(BaseModel):
    """What people or our own other half have written: a field that is not known is a mistake, and refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
