"""What the sections of a report on a pre-training say to a newcomer.

An empty line begins a paragraph.
"""

INTRODUCTION = """
A network learns about indoor scenes here without a single label. A 2D method
cuts colour images into regions and describes each by a feature; a 3D network
sees only the points of the depth image and learns to predict these features
(stage 1). Then a second network, from which most of the tokens are hidden,
learns to predict what the first makes of all of them (stage 2). Every number
and picture on this page was made by the run that it describes. The page is
one file and needs no network.
"""

REGIONS = """
Every image is cut into regions: patches that probably belong to one object or
surface, each with a colour of its own here. The colours carry no meaning.
Nobody told the method what the objects are, so a region has no name, and one
object may consist of several. What is left uncoloured is in no region. The
depth image says how far away each pixel is; light grey is where the camera
could not tell.
"""

TOKENS = """
The depth image turns every pixel into a point in space, and a pixel's region
becomes its point's. The points of a region are one token: the unit that the
transformer works on, as words are in a text. Points in no region, or in one of
too few points, get tokens of their own. The network is given the positions
alone: it never sees the photo.

Drag to rotate. The buttons colour the same points by token, as in the photo,
or by what an encoder makes of each token, which is explained below.
"""

LOSSES = """
The loss says how far the predictions are from what they should be; training
makes it smaller. Each dot is the mean of a few steps. Stage 1 predicts the 2D
feature of each region. Stage 2 has two parts: the scene as a whole (loss_ins)
and the hidden tokens (loss_token). Losses of different stages measure
different things and cannot be compared. A falling loss alone does not show
that the features are useful: that is what a probe is for.
"""

FEATURES = """
An encoder describes every token by a list of numbers, its feature. Too many
to look at, so they are reduced to the three directions in which the features
of one encoder differ most (principal components), which are shown as red,
green and blue. Equal colours in one column, also in different images, mean
that the encoder finds the tokens alike. Each encoder has its own three
directions: compare the patterns of two columns, not their colours. Light grey:
no depth, or a region too small to be seen.

An untrained network already colours by place and size, since that is all it
is given. Look for what changes: do parts of one object, or objects of one
kind, come closer in colour?
"""

PROBE = """
The encoder is frozen, and one linear layer learns to name the class of every
point (chair, wall, …) from its token's feature. The better the features, the
more such a simple layer can read from them. It learns on {train} frames with
labels and is tested on {val} frames of other rooms. mIoU is the overlap of
predicted and true points, mAcc the share of true points found, both in per
cent and averaged over the classes that occur. A point reads the feature of its
own token, or a mixture of the three nearest, so that the borders of the
regions are not what helps.

A short training on few rooms with one seed says little: a difference of a
point or two between rows may be chance. tools/experiments/ladder.py measures
with several seeds.
"""

COSTS = """
Measured while it ran, up to this page. Time includes starting Python, and for
a step that was stopped and went on all of its parts. Processor time adds up
what all cores did; it depends little on what else the machine does. Memory is
the largest resident size of a single process of the step; a step with several
workers uses more in all.
"""
