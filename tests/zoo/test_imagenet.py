from rookery.zoo.imagenet import imagenet_labels


def test_the_classes_have_their_full_names_in_the_usual_order():
    labels = imagenet_labels()
    assert len(labels) == 1000
    assert labels[0] == "tench, Tinca tinca"
    assert labels[145] == "king penguin, Aptenodytes patagonica"
    assert labels[652] == "military uniform"
    assert labels[999] == "toilet tissue, toilet paper, bathroom tissue"
