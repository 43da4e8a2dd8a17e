"""The properties of Network, Volume and RemoteImage, from the original's schema (5.2.0)."""

from .container_table import CONTAINER
from .fields import Field, Table

LABEL: Table = {
    "label": Field("text", replace=True, required=True),
    "value": Field("text", replace=True, required=True),
}

NETWORK: Table = {
    "attachable": Field("flag", replace=True),
    "driver": Field("text", replace=True, computed=True),
    "ingress": Field("flag", replace=True),
    "internal": Field("flag", replace=True, computed=True),
    "ipamConfigs": Field(
        "set",
        replace=True,
        computed=True,
        fields={
            "auxAddress": Field("map", replace=True),
            "gateway": Field("text", replace=True),
            "ipRange": Field("text", replace=True),
            "subnet": Field("text", replace=True),
        },
    ),
    "ipamDriver": Field("text", replace=True, default="default"),
    "ipamOptions": Field("map", replace=True),
    "ipv6": Field("flag", replace=True),
    "labels": Field("set", replace=True, fields=LABEL),
    "name": Field("text", replace=True, required=True),
    "options": Field("map", replace=True, computed=True),
    "scope": Field("text", output=True, computed=True),
}

VOLUME: Table = {
    "cluster": Field("object", implemented=False),
    "driver": Field("text", replace=True, computed=True),
    "driverOpts": Field("map", replace=True),
    "labels": Field("set", replace=True, fields=LABEL),
    "mountpoint": Field("text", output=True, computed=True),
    "name": Field("text", replace=True, required=True),
}

REMOTE_IMAGE: Table = {
    "build": Field("object", implemented=False),
    "forceRemove": Field("flag"),
    "imageId": Field("text", output=True, computed=True),
    "keepLocally": Field("flag"),
    "name": Field("text", replace=True, required=True),
    "platform": Field("text", replace=True),
    "pullTriggers": Field("set", replace=True),
    "repoDigest": Field("text", output=True, computed=True),
    "triggers": Field("map", replace=True),
}

TABLES: dict[str, Table] = {
    "docker:index/container:Container": CONTAINER,
    "docker:index/network:Network": NETWORK,
    "docker:index/volume:Volume": VOLUME,
    "docker:index/remoteImage:RemoteImage": REMOTE_IMAGE,
}

AUTONAMED = frozenset(TABLES) - {"docker:index/remoteImage:RemoteImage"}
"""Types whose `name` is made up when the program gives none."""

IMAGE = "docker:index/image:Image"
