"""S3DIS: from the raw release to what mmdet3d reads."""
