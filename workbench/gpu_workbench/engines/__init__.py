"""Pure translation between what is asked for and a platform's own objects: spec to manifests, objects to a phase."""
