"""A Container's inputs as the body of Docker's create and update calls (Engine API 1.41)."""

from decimal import Decimal
from typing import Any

from .durations import nanoseconds
from .errors import ProviderError
from .plain import Props
from .resource import labels_to_map

MEBIBYTE = 1024 * 1024


def create_body(inputs: Props) -> Props:
    """The body of POST /containers/create. Networks are connected, and files uploaded, afterwards."""
    if "" in inputs.get("command", []):
        raise ProviderError("values for command may not be empty")
    binds, anonymous, volumes_from = _volumes(inputs.get("volumes", []))
    exposed, bindings = _ports(inputs.get("ports", []))
    config = {
        "Image": inputs["image"],
        "Hostname": inputs.get("hostname"),
        "Domainname": inputs.get("domainname"),
        "User": inputs.get("user"),
        "Env": inputs.get("envs"),
        "Cmd": inputs.get("command"),
        "Entrypoint": inputs.get("entrypoints"),
        "WorkingDir": inputs.get("workingDir"),
        "Labels": labels_to_map(inputs.get("labels")),
        "Healthcheck": _healthcheck(inputs.get("healthcheck")),
        "ExposedPorts": exposed,
        "Volumes": anonymous,
        "Tty": inputs.get("tty"),
        "OpenStdin": inputs.get("stdinOpen"),
        "StopSignal": inputs.get("stopSignal"),
        "StopTimeout": inputs.get("stopTimeout"),
    }
    host = {**_host(inputs), "Binds": binds, "VolumesFrom": volumes_from, "PortBindings": bindings}
    return {**_given(config), "HostConfig": _given(host)}


def update_arguments(inputs: Props) -> Props:
    """The arguments of docker's `update_container`: all that the original changes in place."""
    limits = _limits(inputs)
    return {
        "cpu_period": limits["CpuPeriod"],
        "cpu_quota": limits["CpuQuota"],
        "cpu_shares": limits["CpuShares"],
        "cpuset_cpus": limits["CpusetCpus"],
        "mem_limit": limits["Memory"],
        "mem_reservation": limits["MemoryReservation"],
        "memswap_limit": limits["MemorySwap"],
        "restart_policy": _restart(inputs),
    }


UPDATABLE = frozenset(
    {
        "restart",
        "maxRetryCount",
        "cpuShares",
        "memory",
        "memoryReservation",
        "memorySwap",
        "cpuSet",
        "cpuPeriod",
        "cpuQuota",
    }
)
"""The inputs that `update_arguments` carries."""


def _given(body: Props) -> Props:
    return {key: value for key, value in body.items() if value not in (None, "", [], {})}


def _restart(inputs: Props) -> Props:
    return {"Name": inputs.get("restart", "no"), "MaximumRetryCount": inputs.get("maxRetryCount", 0)}


def _limits(inputs: Props) -> Props:
    swap = inputs.get("memorySwap", 0)
    return {
        "CpuShares": inputs.get("cpuShares"),
        "CpusetCpus": inputs.get("cpuSet"),
        "CpuPeriod": inputs.get("cpuPeriod"),
        "CpuQuota": inputs.get("cpuQuota"),
        "Memory": inputs.get("memory", 0) * MEBIBYTE,
        "MemoryReservation": inputs.get("memoryReservation", 0) * MEBIBYTE,
        "MemorySwap": swap * MEBIBYTE if swap > 0 else swap,
    }


def _host(inputs: Props) -> Props:
    capabilities: Props = inputs.get("capabilities", {})
    return {
        **_limits(inputs),
        "AutoRemove": inputs.get("rm"),
        "BlkioDeviceReadBps": _rates(inputs.get("deviceReadBps")),
        "BlkioDeviceReadIOps": _rates(inputs.get("deviceReadIops")),
        "BlkioDeviceWriteBps": _rates(inputs.get("deviceWriteBps")),
        "BlkioDeviceWriteIOps": _rates(inputs.get("deviceWriteIops")),
        "CapAdd": capabilities.get("adds"),
        "CapDrop": capabilities.get("drops"),
        "CgroupParent": inputs.get("cgroupParent"),
        "CgroupnsMode": inputs.get("cgroupnsMode"),
        "Devices": [_device(item) for item in inputs.get("devices", [])],
        "Dns": inputs.get("dns"),
        "DnsOptions": inputs.get("dnsOpts"),
        "DnsSearch": inputs.get("dnsSearches"),
        "ExtraHosts": [f"{item['host']}:{item['ip']}" for item in inputs.get("hosts", [])],
        "GroupAdd": inputs.get("groupAdds"),
        "Init": bool(inputs.get("init")),
        "IpcMode": inputs.get("ipcMode"),
        "LogConfig": {"Type": inputs.get("logDriver", ""), "Config": inputs.get("logOpts") or {}},
        "Mounts": [_mount(item) for item in inputs.get("mounts", [])],
        "NanoCpus": int(Decimal(inputs.get("cpus", "0")) * 10**9),
        "NetworkMode": inputs.get("networkMode"),
        "PidMode": inputs.get("pidMode"),
        "Privileged": inputs.get("privileged"),
        "PublishAllPorts": inputs.get("publishAllPorts"),
        "ReadonlyRootfs": inputs.get("readOnly"),
        "RestartPolicy": _restart(inputs),
        "Runtime": inputs.get("runtime"),
        "SecurityOpt": inputs.get("securityOpts"),
        "ShmSize": inputs.get("shmSize", 0) * MEBIBYTE,
        "StorageOpt": inputs.get("storageOpts"),
        "Sysctls": inputs.get("sysctls"),
        "Tmpfs": inputs.get("tmpfs"),
        "Ulimits": [
            {"Name": item["name"], "Soft": item["soft"], "Hard": item["hard"]} for item in inputs.get("ulimits", [])
        ],
        "UsernsMode": inputs.get("usernsMode"),
    }


def _rates(rates: list[Props] | None) -> list[Props]:
    return [{"Path": item["path"], "Rate": item["rate"]} for item in rates or []]


def _device(device: Props) -> Props:
    return {
        "PathOnHost": device["hostPath"],
        "PathInContainer": device.get("containerPath") or device["hostPath"],
        "CgroupPermissions": device.get("permissions") or "rwm",
    }


def _healthcheck(check: Props | None) -> Props | None:
    if check is None:
        return None
    return {
        "Test": check.get("tests", []),
        "Interval": nanoseconds(check["interval"]),
        "Timeout": nanoseconds(check["timeout"]),
        "StartPeriod": nanoseconds(check["startPeriod"]),
        "StartInterval": nanoseconds(check["startInterval"]),
        "Retries": check.get("retries", 0),
    }


def _ports(ports: list[Props]) -> tuple[Props, dict[str, list[Props]]]:
    exposed: Props = {}
    bindings: dict[str, list[Props]] = {}
    for port in ports:
        name = f"{port['internal']}/{port['protocol']}"
        exposed[name] = {}
        external = str(port["external"]) if port.get("external") else ""
        bindings.setdefault(name, []).append({"HostIp": port["ip"], "HostPort": external})
    return exposed, bindings


def _mount(mount: Props) -> Props:
    body: Props = {
        "Type": mount["type"],
        "Source": mount.get("source"),
        "Target": mount["target"],
        "ReadOnly": mount.get("readOnly"),
    }
    if mount["type"] == "bind" and mount.get("bindOptions"):
        body["BindOptions"] = {"Propagation": mount["bindOptions"].get("propagation", "")}
    if mount["type"] == "volume" and mount.get("volumeOptions"):
        options: Props = mount["volumeOptions"]
        driver = _given({"Name": options.get("driverName"), "Options": options.get("driverOptions")})
        body["VolumeOptions"] = _given(
            {
                "NoCopy": options.get("noCopy"),
                "Labels": labels_to_map(options.get("labels")),
                "DriverConfig": driver,
            }
        )
    if mount["type"] == "tmpfs" and mount.get("tmpfsOptions"):
        options = mount["tmpfsOptions"]
        body["TmpfsOptions"] = _given({"SizeBytes": options.get("sizeBytes"), "Mode": options.get("mode")})
    return _given(body)


def _volumes(volumes: list[Props]) -> tuple[list[str], Props, list[str]]:
    binds: list[str] = []
    anonymous: Props = {}
    volumes_from: list[str] = []
    for volume in volumes:
        target, container = volume.get("containerPath"), volume.get("fromContainer")
        source: Any = volume.get("volumeName") or volume.get("hostPath")
        if bool(target) == bool(container):
            raise ProviderError("each of `volumes` needs either `containerPath` or `fromContainer`, and not both")
        if container:
            volumes_from.append(container)
        elif source:
            mode = ["ro" if volume.get("readOnly") else "rw", volume.get("selinuxRelabel") or ""]
            binds.append(f"{source}:{target}:{','.join(filter(None, mode))}")
        else:
            anonymous[str(target)] = {}
    return binds, anonymous, volumes_from
