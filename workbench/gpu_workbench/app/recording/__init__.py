"""The recorder: what was seen of workloads is kept in the user's data folder, for when they and their journals are gone."""
