"""The models that come with wrongkey, and their weights. Their trainings are in the folder `training/`."""
