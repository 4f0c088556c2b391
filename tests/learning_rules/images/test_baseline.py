from keras_seqattn.learning_rules import LabelledImages
from keras_seqattn.learning_rules.images.baseline import logistic_error
from tests.learning_rules.images.cases import images


def test_logistic_baseline():
    assert logistic_error(images()) == 0
    swapped = images()
    wrong = LabelledImages(
        swapped.x_train,
        swapped.y_train,
        swapped.x_test,
        (swapped.y_test + 1) % 3,
    )
    assert logistic_error(wrong) == 1
