"""The properties of Container, from the original's schema (5.2.0) and, for what Docker fills in, its traces."""

from .durations import problem_of_duration
from .fields import Field, Table, at_least, matches

_TEXTS = Field("set", replace=True)
_DEVICE_RATE: Table = {"path": Field("text", required=True), "rate": Field("whole", required=True)}

_HEALTHCHECK: Table = {
    "interval": Field("text", default="0s", problem=problem_of_duration),
    "retries": Field("whole", default=0, problem=at_least(0)),
    "startInterval": Field("text", default="0s", problem=problem_of_duration),
    "startPeriod": Field("text", default="0s", problem=problem_of_duration),
    "tests": Field("list"),
    "timeout": Field("text", default="0s", problem=problem_of_duration),
}

_LABEL: Table = {
    "label": Field("text", replace=True, required=True),
    "value": Field("text", replace=True, required=True),
}

_MOUNT: Table = {
    "bindOptions": Field("object", fields={"propagation": Field("text", problem=matches("r?(private|shared|slave)"))}),
    "readOnly": Field("flag"),
    "source": Field("text"),
    "target": Field("text", required=True),
    "tmpfsOptions": Field("object", replace=True, fields={"mode": Field("whole"), "sizeBytes": Field("whole")}),
    "type": Field("text", required=True, problem=matches("bind|volume|tmpfs")),
    "volumeOptions": Field(
        "object",
        fields={
            "driverName": Field("text"),
            "driverOptions": Field("map"),
            "labels": Field("set", fields=_LABEL),
            "noCopy": Field("flag"),
            "subpath": Field("text", replace=True, implemented=False),
        },
    ),
}

_NETWORK: Table = {
    "aliases": Field("set", replace=True),
    "driverOpts": Field("set", replace=True),
    "gwPriority": Field("whole", replace=True, implemented=False),
    "ipv4Address": Field("text", replace=True),
    "ipv6Address": Field("text", replace=True),
    "linkLocalIps": Field("set", replace=True),
    "macAddress": Field("text", replace=True),
    "name": Field("text", replace=True, required=True),
}

_PORT: Table = {
    "external": Field("whole", replace=True, computed=True),
    "internal": Field("whole", replace=True, required=True),
    "ip": Field("text", replace=True, default="0.0.0.0"),
    "protocol": Field("text", replace=True, default="tcp"),
}

_UPLOAD: Table = {
    "content": Field("text", replace=True),
    "contentBase64": Field("text", replace=True),
    "executable": Field("flag", replace=True, default=False),
    "file": Field("text", replace=True, required=True),
    "permissions": Field("text", replace=True, problem=matches("0[0-7]{3}")),
    "source": Field("text", replace=True),
    "sourceHash": Field("text", replace=True),
}

_VOLUME: Table = {
    "containerPath": Field("text", replace=True),
    "fromContainer": Field("text", replace=True),
    "hostPath": Field("text", replace=True),
    "readOnly": Field("flag", replace=True),
    "selinuxRelabel": Field("text", replace=True, problem=matches("[zZ]?")),
    "volumeName": Field("text", replace=True),
}

CONTAINER: Table = {
    "attach": Field("flag", default=False),
    "bridge": Field("text", output=True, computed=True),
    "capabilities": Field("object", replace=True, fields={"adds": _TEXTS, "drops": _TEXTS}),
    "cgroupParent": Field("text", replace=True),
    "cgroupnsMode": Field("text", replace=True, problem=matches("private|host")),
    "command": Field("list", replace=True, computed=True),
    "containerLogs": Field("text", output=True, computed=True),
    "containerReadRefreshTimeoutMilliseconds": Field("whole", default=15000),
    "cpuPeriod": Field("whole", problem=at_least(0)),
    "cpuQuota": Field("whole", problem=at_least(0)),
    "cpuSet": Field("text", problem=matches(r"\d+([,-]\d+)*")),
    "cpuShares": Field("whole", problem=at_least(0)),
    "cpus": Field("text", replace=True, problem=matches(r"\d+(\.\d*)?|\.\d+")),
    "destroyGraceSeconds": Field("whole"),
    "deviceReadBps": Field("set", fields=_DEVICE_RATE),
    "deviceReadIops": Field("set", fields=_DEVICE_RATE),
    "deviceRequests": Field("list", replace=True, implemented=False, fields={"driver": Field("text")}),
    "deviceWriteBps": Field("set", fields=_DEVICE_RATE),
    "deviceWriteIops": Field("set", fields=_DEVICE_RATE),
    "devices": Field(
        "set",
        replace=True,
        fields={
            "containerPath": Field("text", replace=True),
            "hostPath": Field("text", replace=True, required=True),
            "permissions": Field("text", replace=True),
        },
    ),
    "dns": _TEXTS,
    "dnsOpts": _TEXTS,
    "dnsSearches": _TEXTS,
    "domainname": Field("text", replace=True),
    "entrypoints": Field("list", replace=True, computed=True),
    "envs": Field("set", replace=True, computed=True),
    "exitCode": Field("whole", output=True, computed=True),
    "gpus": Field("text", replace=True, implemented=False),
    "groupAdds": _TEXTS,
    "healthcheck": Field("object", computed=True, fields=_HEALTHCHECK),
    "hostname": Field("text", replace=True, computed=True),
    "hosts": Field(
        "set",
        replace=True,
        fields={
            "host": Field("text", replace=True, required=True),
            "ip": Field("text", replace=True, required=True),
        },
    ),
    "image": Field("text", replace=True, required=True),
    "init": Field("flag", computed=True),
    "ipcMode": Field("text", replace=True, computed=True),
    "labels": Field("set", replace=True, computed=True, fields=_LABEL),
    "logDriver": Field("text", replace=True, computed=True),
    "logOpts": Field("map", replace=True),
    "logs": Field("flag", default=False),
    "maxRetryCount": Field("whole"),
    "memory": Field("whole", problem=at_least(0)),
    "memoryReservation": Field("whole", default=0, problem=at_least(0)),
    "memorySwap": Field("whole", problem=at_least(-1)),
    "mounts": Field("set", replace=True, fields=_MOUNT),
    "mustRun": Field("flag", default=True),
    "name": Field("text", replace=True, required=True),
    "networkDatas": Field("list", output=True, computed=True),
    "networkMode": Field("text", replace=True, default="bridge"),
    "networksAdvanced": Field("set", replace=True, fields=_NETWORK),
    "pidMode": Field("text", replace=True),
    "platform": Field("text", replace=True, computed=True),
    "ports": Field("list", replace=True, fields=_PORT),
    "privileged": Field("flag", replace=True),
    "publishAllPorts": Field("flag", replace=True),
    "readOnly": Field("flag", replace=True, default=False),
    "removeVolumes": Field("flag", default=True),
    "restart": Field("text", default="no", problem=matches("no|on-failure|always|unless-stopped")),
    "rm": Field("flag", default=False),
    "runtime": Field("text", replace=True, computed=True),
    "securityOpts": Field("set", replace=True, computed=True),
    "shmSize": Field("whole", replace=True, computed=True, problem=at_least(0)),
    "start": Field("flag", default=True),
    "stdinOpen": Field("flag", replace=True, default=False),
    "stopSignal": Field("text", replace=True, computed=True),
    "stopTimeout": Field("whole", replace=True, computed=True),
    "storageOpts": Field("map", replace=True),
    "sysctls": Field("map", replace=True),
    "tmpfs": Field("map"),
    "tty": Field("flag", replace=True, default=False),
    "ulimits": Field(
        "set",
        replace=True,
        fields={
            "hard": Field("whole", replace=True, required=True),
            "name": Field("text", replace=True, required=True),
            "soft": Field("whole", replace=True, required=True),
        },
    ),
    "uploads": Field("set", replace=True, fields=_UPLOAD),
    "user": Field("text", replace=True, inherited=True),
    "usernsMode": Field("text", replace=True),
    "volumes": Field("set", replace=True, fields=_VOLUME),
    "wait": Field("flag", default=False),
    "waitTimeout": Field("whole", default=60),
    "workingDir": Field("text", replace=True, inherited=True),
}
