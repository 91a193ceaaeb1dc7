"""By how much do two methods differ over seeds, and is it more than noise?"""

from shared import METHODS, picture, subject, trained

import sharpscope as ss

groups = {
    name: [
        result.tagged(f"{method}-{seed}")
        for seed in (1, 2, 3)
        for result in ss.traces(
            subject(trained(method, recipe="mfeat:fou+mor", seed=seed)), rtol=0.05
        ).values()
    ]
    for method, name in zip(METHODS, ("late fusion", "MASAM"), strict=True)
}
found = ss.compare(groups)
figure = found.draw(width="column")

# Differences are paired by seed, and say themselves whether they are within noise.
assert all("seeds" in difference.paired for difference in found.differences)
assert all(difference.verdict for difference in found.differences)

picture(figure, __file__)
