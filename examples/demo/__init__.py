"""The main job on one machine: sandbox venues, a worker, and a mixed bag of orders."""
