"""What every container of the cluster has in common: labels, restarts, bounded logs, dropped privileges, health."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_docker as docker

from cluster.labels import DEPLOYMENT, MEMBER, PROJECT, ROLE, STACK
from config.cpus import as_read_back
from config.settings import Limits
from config.sizes import whole_mib


def stack_labels(role: str) -> dict[str, pulumi.Input[str]]:
    """Labels of one thing in Docker: the project and stack that it belongs to, and its role."""
    return {PROJECT: pulumi.get_project(), STACK: pulumi.get_stack(), ROLE: role}


def fixed_name(part: str) -> str:
    """Name in Docker of what is not autonamed: data volumes, so that the next `up` finds retained data again, and
    containers that there must be one of only.
    """
    return f"{pulumi.get_project()}-{pulumi.get_stack()}-{part}"


def data_volume(
    name: str,
    *,
    physical_name: str,
    role: str,
    retain: bool,
    deployment: pulumi.Input[str],
    parent: pulumi.Resource,
) -> docker.Volume:
    """A volume that holds data.

    With `retain`, `destroy` leaves it. The name is fixed, so a replacement must delete the old volume first.
    """
    return docker.Volume(
        name,
        # Known once it is known that no other deployment has this stack's volumes (`components.checks`).
        name=pulumi.Output.from_input(deployment).apply(lambda _: physical_name),
        labels=[docker.VolumeLabelArgs(label=key, value=value) for key, value in sorted(stack_labels(role).items())],
        opts=pulumi.ResourceOptions(
            parent=parent,
            retain_on_delete=retain,
            delete_before_replace=True,
            # Docker takes a volume of this name that is there already, with the labels, driver and options (a disk of
            # its own, NFS) it has. Other ones would replace it: delete the data that it was taken for.
            ignore_changes=["labels", "driver", "driverOpts"],
        ),
    )


def scratch_volume(
    name: str,
    *,
    role: str,
    deployment: pulumi.Input[str],
    parent: pulumi.Resource,
    in_memory_for: int | None = None,
) -> docker.Volume:
    """A volume that holds nothing which the stack could not make again.

    With `in_memory_for`, it lies in memory, and only the user of that number can read it.
    """
    memory = {"type": "tmpfs", "device": "tmpfs", "o": f"uid={in_memory_for},gid={in_memory_for},mode=0700,size=1m"}
    labels = {**stack_labels(role), DEPLOYMENT: deployment}
    return docker.Volume(
        name,
        driver_opts=None if in_memory_for is None else memory,
        labels=[docker.VolumeLabelArgs(label=key, value=value) for key, value in sorted(labels.items())],
        opts=pulumi.ResourceOptions(parent=parent),
    )


def part_image(part: str, reference: str, parent: pulumi.Resource) -> docker.RemoteImage:
    """The image of a part that runs as it is published. It stays on the host when the stack goes: others may use it."""
    opts = pulumi.ResourceOptions(parent=parent)
    return docker.RemoteImage(f"{part}-image", name=reference, keep_locally=True, opts=opts)


def carrier(
    name: str,
    *,
    role: str,
    deployment: pulumi.Input[str],
    image: pulumi.Input[str],
    volume: pulumi.Input[str],
    folder: str,
    files: dict[str, str],
    parent: pulumi.Resource,
) -> docker.Container:
    """A container that never runs: Docker puts `files`, texts by path, in `folder`, where `volume` is, when it is made.

    So files reach a running container without a replacement of that: only the carrier is replaced, and a review sees
    what changed in the texts.
    """
    labels = {**stack_labels(role), DEPLOYMENT: deployment}
    return docker.Container(
        name,
        image=image,
        start=False,
        must_run=False,
        network_mode="none",
        uploads=[docker.ContainerUploadArgs(file=path, content=text) for path, text in files.items()],
        mounts=[docker.ContainerMountArgs(type="volume", source=volume, target=folder)],
        capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
        security_opts=["no-new-privileges"],
        labels=[docker.ContainerLabelArgs(label=key, value=value) for key, value in sorted(labels.items())],
        # The next one writes the same files, so it comes last.
        opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
    )


@dataclass(frozen=True)
class Attachment:
    """A network that a container is on, and the names that others find it by there."""

    network: pulumi.Input[str]
    aliases: Sequence[str] = ()


@dataclass(frozen=True)
class ContainerSpec:
    """What is particular about one container. Environment values may be secret outputs; uploads may not."""

    role: str
    member: str
    deployment: pulumi.Input[str]
    """Id of the deployment (`components.checks.deployment_id`)."""

    single: bool
    """Whether there must never be two of it: then its name is fixed, and Docker itself refuses a second."""

    image: pulumi.Input[str]
    entrypoint: Sequence[str]
    health: str
    """Shell command that succeeds while it is healthy."""

    limits: Limits
    attachments: Sequence[Attachment]
    uploads: dict[str, str]
    """Path in the container → text. Readable in every preview, so no secret may be in one."""

    envs: dict[str, pulumi.Input[str]]
    volumes: dict[str, pulumi.Input[str]]
    """Folder in the container → name of the volume."""

    read_only_volumes: bool = False
    capabilities: Sequence[str] = ()
    """Capabilities left to it, sorted; all others are dropped."""

    fuse: bool = False
    """Whether it mounts a FUSE file system."""

    sysctls: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of its own network namespace."""

    user: str | None = None
    ports: Sequence[docker.ContainerPortArgs] = ()


def container(name: str, spec: ContainerSpec, opts: pulumi.ResourceOptions) -> docker.Container:
    """The container that `spec` describes.

    It is declared, not awaited: `cluster.health` looks at all of them together at the end of every `up`.
    """
    memory = None if spec.limits.memory is None else whole_mib(spec.limits.memory)
    labels = {**stack_labels(spec.role), MEMBER: spec.member, DEPLOYMENT: spec.deployment}
    return docker.Container(
        name,
        # A container that an `up` left behind when it was killed has this name too, and is not in the state.
        name=fixed_name(spec.member) if spec.single else None,
        image=spec.image,
        entrypoints=list(spec.entrypoint),
        envs=[
            f"{key}={value}" if isinstance(value, str) else pulumi.Output.concat(key, "=", value)
            for key, value in sorted(spec.envs.items())
        ],
        uploads=[docker.ContainerUploadArgs(file=path, content=text) for path, text in sorted(spec.uploads.items())],
        mounts=[
            docker.ContainerMountArgs(
                type="volume", source=volume, target=path, read_only=True if spec.read_only_volumes else None
            )
            for path, volume in sorted(spec.volumes.items())
        ],
        # The provider's own default, written out: with networks_advanced alone some versions of it see a difference.
        network_mode="bridge" if spec.attachments else "none",
        networks_advanced=[
            docker.ContainerNetworksAdvancedArgs(name=attachment.network, aliases=list(attachment.aliases))
            for attachment in spec.attachments
        ],
        ports=list(spec.ports),
        capabilities=docker.ContainerCapabilitiesArgs(adds=list(spec.capabilities), drops=["ALL"]),
        # AppArmor's default profile for containers forbids mount(2), whatever the capabilities.
        security_opts=[*(["apparmor:unconfined"] if spec.fuse else []), "no-new-privileges"],
        devices=[docker.ContainerDeviceArgs(host_path="/dev/fuse", container_path="/dev/fuse", permissions="rwm")]
        if spec.fuse
        else [],
        sysctls=dict(spec.sysctls) or None,
        user=spec.user,
        healthcheck=docker.ContainerHealthcheckArgs(
            tests=["CMD-SHELL", spec.health],
            # Each check starts a process in the container, which takes 70 ms of a core (50 of them Docker's own): with
            # 100 readers on one host a quarter of a core at this interval, and 1.4 cores at one of five seconds.
            interval="30s",
            timeout="5s",
            retries=2,
            # As Docker writes it back: "60s" would come back as "1m0s", a difference in every preview.
            start_period="30s",
        ),
        must_run=True,
        restart="unless-stopped",
        log_driver="json-file",
        log_opts={"max-file": "3", "max-size": "10m"},
        memory=memory,
        # Equal to the memory: no swap. A node that swaps answers slower than one that is killed and restarted.
        memory_swap=memory,
        cpus=None if spec.limits.cpus is None else as_read_back(spec.limits.cpus),
        # To end what it is doing after SIGTERM, before it is killed.
        destroy_grace_seconds=15,
        labels=[docker.ContainerLabelArgs(label=key, value=value) for key, value in sorted(labels.items())],
        # The provider says that it updates a healthcheck in place, and does not do it (5.2). Docker ignores a memory
        # limit that is taken away from a running container. It adds its own log options (daemon.json) to those that are
        # declared, and the provider reads all of them back: each would be a difference in every preview.
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                replace_on_changes=["healthcheck", "memory", "memorySwap"], ignore_changes=["logOpts"]
            ),
        ),
    )
