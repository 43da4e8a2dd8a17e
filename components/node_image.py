"""The image that nodes run. Apart from the other components, so that it can be declared before they are imported."""

import pulumi
import pulumi_docker as docker

from config.settings import ImageSettings

IMAGE_CONTEXT = "images/seafowl-litefs"


def node_image(images: ImageSettings) -> pulumi.Output[str]:
    """Id of the image that nodes run: built from `images/seafowl-litefs`, or the one that `images.node` names."""
    if images.node is not None:
        return docker.RemoteImage("seafowl-litefs", name=images.node, keep_locally=True).image_id
    image = docker.Image(
        "seafowl-litefs",
        image_name=f"{pulumi.get_project()}-{pulumi.get_stack()}/seafowl-litefs:local",
        build=docker.DockerBuildArgs(
            context=IMAGE_CONTEXT,
            dockerfile=f"{IMAGE_CONTEXT}/Dockerfile",
            args={
                "SEAFOWL_IMAGE": images.seafowl,
                "LITEFS_IMAGE": images.litefs,
                "PYTHON_IMAGE": images.python,
            },
            platform="linux/amd64",
        ),
        skip_push=True,
    )
    # The id of what was built, not its name: a new build must reach the nodes, an equal one must not.
    return image.repo_digest
