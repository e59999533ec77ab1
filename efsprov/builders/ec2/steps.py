"""The steps of a launch: one a resource or a wait. What a step makes, it hands to the clean-up before it asks for it."""

from typing import Final, Protocol

from efsprov.aws import compute, keys, network
from efsprov.aws.errors import CAPACITY, code_of, refusal_of
from efsprov.builders.ec2 import boot
from efsprov.builders.ec2.launch import Launch
from efsprov.builders.ec2.preflight import launch_spec
from efsprov.builders.ec2.teardown import remove_instance, remove_unknown
from efsprov.builders.ec2.user_data import render
from efsprov.core.errors import AwsError, BuilderError


class Step(Protocol):
    """One step. It may run twice for the same launch: what is there already is found again."""

    title: str

    def run(self, launch: Launch) -> None:
        """Do it; raises ``EfsprovError``."""
        ...


class ImportLoginKey:
    """The key that the orchestrator logs in with: its public half goes to EC2, its private half stays in memory."""

    title = "importing a key"

    def run(self, launch: Launch) -> None:
        """Import it under the run's own name."""
        name = launch.name
        launch.undo.push(
            lambda: keys.delete_key(launch.aws, name),
            what=lambda: f"the key pair {name}",
            command=lambda: f"aws ec2 delete-key-pair --region {launch.aws.region} --key-name {name}",
        )
        launch.record.key_pair = name
        launch.record.save()
        keys.import_key(launch.aws, name, launch.login.public, launch.tags)


class CreateGroup:
    """A security group that lets one address in to SSH, or one other group, or nobody."""

    title = "creating a security group"

    def run(self, launch: Launch) -> None:
        """Create it, and the rule."""
        aws, ingress = launch.aws, launch.site.ingress
        launch.undo.push(
            lambda: _delete_group(launch),
            what=lambda: f"the security group {launch.record.group or launch.name}",
            command=lambda: (
                f"aws ec2 delete-security-group --region {aws.region} --group-id {launch.record.group or launch.name}"
            ),
        )
        description = f"efsprov builder of run {launch.record.run}"
        group = network.create_group(aws, launch.name, vpc=launch.site.vpc, description=description, tags=launch.tags)
        launch.record.group = group
        launch.record.save()
        if ingress.block or ingress.group:
            port = launch.settings.ssh_port
            network.allow_ingress(aws, group, port=port, block=ingress.block, source=ingress.group, tags=launch.tags)


def _delete_group(launch: Launch) -> None:
    if launch.record.group:
        network.delete_group(launch.aws, launch.record.group)
    else:  # the reply that would have told its id did not come
        network.delete_groups_named(launch.aws, launch.name, vpc=launch.site.vpc, run=launch.record.run)


class LaunchInstance:
    """The instance, in the first place that has room for it."""

    title = "launching an instance"

    def run(self, launch: Launch) -> None:
        """Ask for it, place by place; each place has a client token of its own, which is on disk before it is used."""
        if launch.record.instance:
            return
        launch.undo.push(
            lambda: _remove_instance(launch),
            what=lambda: f"the instance {launch.record.instance or f'of run {launch.record.run}'}",
            command=lambda: (
                f"aws ec2 terminate-instances --region {launch.aws.region} --instance-ids {launch.record.instance or 'ID'}"
            ),
        )
        groups = (launch.record.group, *launch.site.groups)
        refused = []
        for place in launch.site.candidates:
            launch.tell(f"launching {place}")
            address = launch.site.mount_targets.get(place.zone, "")
            user_data = render(launch.settings, launch.target, launch.root, launch.host_key, mount_target=address)
            spec = launch_spec(
                launch.settings,
                launch.site,
                place,
                user_data=user_data,
                groups=groups,
                tags=launch.tags,
                key_name=launch.name,
            )
            attempt = launch.attempt_in(place)
            try:
                launch.record.instance = compute.launch(launch.aws, spec, token=attempt.token)
            except AwsError as error:
                attempt.refused = refusal_of(error)
                launch.record.save()
                if code_of(error) not in CAPACITY:
                    raise
                refused.append(f"{place} ({code_of(error)})")
                continue
            launch.record.save()
            return
        raise BuilderError(
            f"EC2 has no {'spot ' if launch.settings.spot else ''}instance for the builder at the moment: {', '.join(refused)}.",
            hint="Name more types with --instance-type or more zones with --subnet"
            + (", or do without --spot." if launch.settings.spot else ", or try again later."),
        )


def _remove_instance(launch: Launch) -> None:
    record, seconds = launch.record, launch.timeouts.terminate
    if record.instance:
        remove_instance(launch.aws, record.instance, seconds=seconds)
    elif record.unanswered:
        remove_unknown(launch.aws, record.run, seconds=seconds)


class AwaitInstance:
    """The instance runs and has an address."""

    title = "waiting until the instance runs"

    def run(self, launch: Launch) -> None:
        """Wait; see ``boot.await_running``."""
        launch.seen = boot.await_running(launch)


class AwaitSshd:
    """The instance's SSH server answers with the host key that was sent along, and accepts the login."""

    title = "waiting for its SSH server"

    def run(self, launch: Launch) -> None:
        """Wait; see ``boot.await_sshd``."""
        boot.await_sshd(launch)


class ReplaceHostKey:
    """The host key that was in the user-data gives way to one that nobody else has ever seen."""

    title = "replacing its host key"

    def run(self, launch: Launch) -> None:
        """Replace it; see ``boot.replace_host_key``."""
        launch.trusted_key = boot.replace_host_key(launch)


class AwaitPrepared:
    """Python is installed and the file system mounted."""

    title = "installing Python, mounting the file system"

    def run(self, launch: Launch) -> None:
        """Wait; see ``boot.await_prepared``."""
        boot.await_prepared(launch)


STEPS: Final[tuple[Step, ...]] = (
    ImportLoginKey(),
    CreateGroup(),
    LaunchInstance(),
    AwaitInstance(),
    AwaitSshd(),
    ReplaceHostKey(),
    AwaitPrepared(),
)
