from .csc import CSC, PartitionedInfoNCELoss
