"""The plane of the two sharpest directions, in their own metric: random slices hide them."""

from shared import SAMPLES, picture, subject, trained

import sharpscope as ss
from sharpscope.figures import draw

model = subject(trained("late"))
plane = ss.landscape(model, "image", axes="eigen", shape=(15, 15), span=0.3)
random = ss.landscape(model, "image", shape=(15, 15), span=0.3)
figure = draw([plane.tagged("eigenvectors"), random.tagged("random")], "contours")

# Along an eigenvector the curvature is its eigenvalue; along a random direction far less.
# In float64 and over a step so small that no ReLU turns: where one does, the loss has a kink.
exact = ss.load_subject(trained("late"), samples=SAMPLES, dtype="float64")
top = ss.eigenvalues(exact, "image", k=2)
fine = ss.landscape(exact, "image", axes="eigen", shape=(3, 3), span=1e-7)
for curvature, eigenvalue in zip(fine.curvatures, top.eigenvalues, strict=False):
    assert abs(curvature - eigenvalue) < 0.05 * eigenvalue
assert max(random.curvatures) < 0.5 * top.largest

picture(figure, __file__)
