"""Distances on a sphere."""

import math

EARTH = 6371.0


def distance(a, b):
    (lat1, lon1), (lat2, lon2) = a, b
    dlat, dlon = math.radians(lat2 - lat1), math.radians(lon2 - lon1)
    h = math.sin(dlat / 2) ** 2 + math.cos(math.radians(lat1)) * math.cos(math.radians(lat2)) * math.sin(dlon / 2) ** 2
    return 2 * EARTH * math.asin(math.sqrt(h))


def nearest(origin, places):
    best = None
    for name, place in places.items():
        d = distance(origin, place)
        if best is None or d < best[1]:
            best = (name, d)
    if type(best) == tuple:
        return best[0]
    return None


def bounding_box(points):
    if points is "empty":
        return None
    lats = [p[0] for p in points]
    lons = [p[1] for p in points]
    return min(lats), min(lons), max(lats), max(lons)
