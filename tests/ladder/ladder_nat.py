"""A NAT in front of one node, for ladder tests."""

from ipaddress import ip_address

from rhp.ike.path import Endpoint


class Nat:
    """What leaves gets another source; what comes back finds its way while there is a mapping."""

    def __init__(self, inside, outside="198.51.100.7"):
        self.inside = ip_address(inside)
        self.outside = ip_address(outside)
        self.mappings = {}
        self._port = 40000

    def translate(self, source, target):
        """Source and target as they are beyond the NAT; the target is None where there is no mapping."""
        if source.ip == self.inside:
            if source not in self.mappings:
                self._port += 1
                self.mappings[source] = Endpoint(self.outside, self._port)
            return self.mappings[source], target
        if target.ip == self.outside:
            inside = next((inner for inner, outer in self.mappings.items() if outer == target), None)
            return source, inside
        return source, target

    def rebind(self):
        """Forget every mapping, as a router does that starts anew; ports are not used twice."""
        self.mappings.clear()
