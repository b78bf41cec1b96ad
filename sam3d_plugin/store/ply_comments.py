"""Comments of the PLY files that we write."""

#: Vertex property of class indices; also before an index and the name of its
#: class in a comment.
CLASS_INDEX = 'class_index'
#: Before the number of vertices at the end that draw the edges of boxes.
EDGES = 'vertices that draw boxes, at the end:'
#: Before what the colors show, if it is not the color of the room.
COLORS_SHOW = 'colors show'
