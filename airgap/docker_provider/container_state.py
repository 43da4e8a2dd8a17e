"""What Docker says of a container, as the original's outputs."""

from typing import Any

from .container_spec import MEBIBYTE
from .durations import duration
from .fields import canonical
from .plain import Props, listed
from .resource import map_to_labels


def state_of(details: Props) -> Props:
    """The outputs that are read back. Others (`envs`, `labels`, `volumes`, `uploads`, …) stay as they were given."""
    config: Props = details["Config"]
    host: Props = details["HostConfig"]
    network: Props = details["NetworkSettings"]
    state: Props = {
        "bridge": network["Bridge"],
        "command": config["Cmd"] or [],
        "cpuSet": host["CpusetCpus"],
        "cpuShares": host["CpuShares"],
        "devices": sorted((_device(item) for item in listed(host["Devices"])), key=canonical),
        "dns": sorted(listed(host["Dns"])),
        "dnsOpts": sorted(listed(host["DnsOptions"])),
        "dnsSearches": sorted(listed(host["DnsSearch"])),
        "domainname": config["Domainname"],
        "entrypoints": config["Entrypoint"] or [],
        "exitCode": None if details["State"]["Running"] else details["State"]["ExitCode"],
        "groupAdds": sorted(listed(host["GroupAdd"])),
        "hostname": config["Hostname"],
        "hosts": sorted((_extra_host(item) for item in listed(host["ExtraHosts"])), key=canonical),
        "id": details["Id"],
        "image": details["Image"],
        "init": bool(host.get("Init")),
        "ipcMode": host["IpcMode"],
        "logDriver": host["LogConfig"]["Type"],
        "logOpts": host["LogConfig"]["Config"] or {},
        "maxRetryCount": host["RestartPolicy"]["MaximumRetryCount"],
        "memory": host["Memory"] // MEBIBYTE,
        "memoryReservation": host["MemoryReservation"] // MEBIBYTE,
        "memorySwap": host["MemorySwap"] // MEBIBYTE if host["MemorySwap"] > 0 else host["MemorySwap"],
        "mounts": sorted((_mount(item) for item in listed(host.get("Mounts"))), key=canonical),
        "name": details["Name"].lstrip("/"),
        "networkDatas": [_network(name, item) for name, item in sorted(network["Networks"].items())],
        "networkMode": host["NetworkMode"],
        "platform": details["Platform"],
        "ports": _ports(network["Ports"] or {}),
        "privileged": host["Privileged"],
        "publishAllPorts": host["PublishAllPorts"],
        "readOnly": host["ReadonlyRootfs"],
        "restart": host["RestartPolicy"]["Name"],
        "rm": host["AutoRemove"],
        "runtime": host["Runtime"],
        "securityOpts": sorted(listed(host["SecurityOpt"])),
        "shmSize": host["ShmSize"] // MEBIBYTE,
        "stdinOpen": config["OpenStdin"],
        "stopSignal": config.get("StopSignal", ""),
        "stopTimeout": config.get("StopTimeout", 0),
        "storageOpts": host.get("StorageOpt") or {},
        "sysctls": host.get("Sysctls") or {},
        "tmpfs": host.get("Tmpfs") or {},
        "tty": config["Tty"],
        "ulimits": sorted(
            ({"hard": item["Hard"], "name": item["Name"], "soft": item["Soft"]} for item in listed(host["Ulimits"])),
            key=canonical,
        ),
        "user": config["User"],
        "usernsMode": host["UsernsMode"],
        "workingDir": config["WorkingDir"],
    }
    if host["NanoCpus"]:
        state["cpus"] = _cpus(host["NanoCpus"])
    if host["CapAdd"] or host["CapDrop"]:
        state["capabilities"] = {"adds": sorted(listed(host["CapAdd"])), "drops": sorted(listed(host["CapDrop"]))}
    if config.get("Healthcheck"):
        state["healthcheck"] = _healthcheck(config["Healthcheck"])
    return state


def _cpus(billionths: int) -> str:
    """With nine decimals, without the zeros at its end; as the original, nine zeros are taken for a round number's."""
    text = f"{billionths // 10**9}.{billionths % 10**9:09}"
    return f"{(billionths + 5 * 10**7) // 10**8 / 10:.1f}" if text.count("0") == 9 else text.rstrip("0")


def _device(device: Props) -> Props:
    return {
        "containerPath": device["PathInContainer"],
        "hostPath": device["PathOnHost"],
        "permissions": device["CgroupPermissions"],
    }


def _extra_host(text: str) -> Props:
    name, _, address = text.partition(":")
    return {"host": name, "ip": address}


def _healthcheck(check: Props) -> Props:
    return {
        "interval": duration(check.get("Interval", 0)),
        "retries": check.get("Retries", 0),
        "startInterval": duration(check.get("StartInterval", 0)),
        "startPeriod": duration(check.get("StartPeriod", 0)),
        "tests": check.get("Test") or [],
        "timeout": duration(check.get("Timeout", 0)),
    }


def _mount(mount: Props) -> Props:
    return {
        "bindOptions": _options(mount.get("BindOptions"), {"propagation": ("Propagation", "")}),
        "readOnly": mount.get("ReadOnly", False),
        "source": mount.get("Source", ""),
        "target": mount["Target"],
        "tmpfsOptions": _options(mount.get("TmpfsOptions"), {"mode": ("Mode", 0), "sizeBytes": ("SizeBytes", 0)}),
        "type": mount["Type"],
        "volumeOptions": _volume_options(mount.get("VolumeOptions")),
    }


def _options(options: Props | None, names: dict[str, tuple[str, Any]]) -> Props | None:
    if options is None:
        return None
    return {key: options.get(docker, absent) for key, (docker, absent) in names.items()}


def _volume_options(options: Props | None) -> Props | None:
    if options is None:
        return None
    driver: Props = options.get("DriverConfig") or {}
    return {
        "driverName": driver.get("Name", ""),
        "driverOptions": driver.get("Options") or {},
        "labels": map_to_labels(options.get("Labels")),
        "noCopy": options.get("NoCopy", False),
        "subpath": "",
    }


def _network(name: str, network: Props) -> Props:
    return {
        "gateway": network["Gateway"],
        "globalIpv6Address": network["GlobalIPv6Address"],
        "globalIpv6PrefixLength": network["GlobalIPv6PrefixLen"],
        "ipAddress": network["IPAddress"],
        "ipPrefixLength": network["IPPrefixLen"],
        "ipv6Gateway": network["IPv6Gateway"],
        "macAddress": network["MacAddress"],
        "networkName": name,
    }


def _ports(ports: dict[str, list[Props] | None]) -> list[Props]:
    """In the order of the port numbers, whatever the order of the inputs."""
    return [
        {
            "external": int(binding["HostPort"]),
            "internal": int(name.partition("/")[0]),
            "ip": binding["HostIp"],
            "protocol": name.partition("/")[2],
        }
        for name in sorted(ports, key=lambda name: int(name.partition("/")[0]))
        for binding in ports[name] or []
    ]
