"""One lane without a thread, whose buffers are out of bounds where nothing was put."""

import socket

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from linux_socket cimport CMSG_DATA, CMSG_FIRSTHDR, CMSG_LEN, CMSG_SPACE, SOL_UDP, UDP_GRO, cmsghdr, msghdr

from rhp._fast.drops cimport DROP_COUNT
from rhp._fast.esp cimport ESP_TAIL_ROOM, esp_ctx_free, esp_ctx_new, esp_seal, esp_sealed_len
from rhp._fast.hub cimport HUB_PROBE, HUB_SLOTS, HUB_SLOTS_LEAST, hub_entry_t, hub_t
from rhp._fast.hub_lane cimport hub_lane_t
from rhp._fast.lane cimport BATCH, HEAD_ROOM, RECEIVE_CONTROL_ROOM, SLOT_STRIDE, TAIL_ROOM, lane_read_mail, lane_t
from rhp._fast.lanes cimport Lanes
from rhp._fast.merge cimport MERGE_ROOM, merge_init
from rhp._fast.neighbour cimport NEIGHBOUR_PROBE, neighbour_t
from rhp._fast.parcel cimport VNET_HEADER
from rhp._fast.reorder cimport reorder_forget
from rhp._fast.sa cimport esp_sequence_t
from rhp._fast.stats cimport *
from targets.source cimport check

from rhp._fast.dataplane import DataPlane, SaParams, Selector

cdef extern from "sanitizer/asan_interface.h" nogil:
    void poison "__asan_poison_memory_region" (const void* place, size_t size)
    void unpoison "__asan_unpoison_memory_region" (const void* place, size_t size)

cdef enum:
    HUB_OCTETS = (HUB_SLOTS + HUB_PROBE) * sizeof(hub_entry_t)
    NEIGHBOURS_OCTETS = (HUB_SLOTS + NEIGHBOUR_PROBE) * sizeof(neighbour_t)
    NOW_MS = 1000000
    # What may stand in front of an opened packet: a tunnel's Ethernet header and the TAP's own.
    OPENED_FRONT = 14 + VNET_HEADER
    ALL_OFFLOADS = 0x6f
    OTHER_HUB = 1
    OTHER_PORT = PEERS + 1

OFFLOADS = ALL_OFFLOADS
GCM, CHACHA, CBC, SHA256 = 20, 28, 12, 12
# (port kind, encryption, octets of its key, integrity, octets of its key)
SUITES = (
    ("ethernet", GCM, 20, 0, 0), ("ethernet", CHACHA, 36, 0, 0), ("ip", CBC, 16, SHA256, 32), ("ip", GCM, 36, 0, 0),
)
STATION = [bytes((2, 0, 0, 0, 0, number)) for number in range(6)] + [b"\xff" * 6, b"\x33\x33\0\0\0\1"]
TAP = STATION[0]
ANY = (Selector("0.0.0.0", "255.255.255.255"), Selector("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"))
REMOTE = {3: (Selector("10.0.0.0", "10.0.0.255"), ANY[1]), 4: (Selector("10.0.0.2", "10.0.0.2"),)}

cdef uint8_t* hub_kept
cdef uint8_t* neighbours_kept
cdef esp_sequence_t sequence_kept


def install(plane, int peer, int port):
    """A hub port and its pair of SAs, with keys that are the same every time."""
    kind, encryption, key_length, integrity, integrity_length = SUITES[peer - 1]
    selectors = {"pseudo_mac": STATION[peer], "local_ts": ANY, "remote_ts": REMOTE[peer]} if kind == "ip" else {}
    assert plane.add_port(kind, **selectors) == peer
    keys = {
        "encryption_key_in": bytes(range(peer, peer + key_length)),
        "encryption_key_out": bytes(range(100 + peer, 100 + peer + key_length)),
        "integrity_key_in": bytes(range(50 + peer, 50 + peer + integrity_length)),
        "integrity_key_out": bytes(range(150 + peer, 150 + peer + integrity_length)),
    }
    plane.install(
        SaParams(
            port=peer, spi_in=0x1000 + peer, spi_out=0x2000 + peer, mode="tunnel" if kind == "ip" else kind,
            encryption=encryption, integrity=integrity, local_ip="127.0.0.1", remote_ip="127.0.0.1",
            local_port=port, remote_port=port, **keys,
        )
    )


def build_plane():
    """The plane, and the host's end of its TAP; its own socket is its peers' too, and nobody reads it."""
    plane = DataPlane(1)
    host, tap = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (host, tap):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        end.setblocking(False)
    outer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    outer.bind(("127.0.0.1", 0))
    plane.attach_tap(0, tap.fileno(), TAP, offloads=OFFLOADS)
    plane.attach_udp(0, outer.fileno(), socket.AF_INET)
    for peer in range(1, PEERS + 1):
        install(plane, peer, outer.getsockname()[1])
    plane.set_hub(static=[(STATION[1], 1), (STATION[2], 2)])
    # Somebody with a station of the same name in another hub, who may never hear a thing.
    other = plane.add_hub(stations=HUB_SLOTS_LEAST)
    assert (other, plane.add_port("ethernet", hub=other)) == (OTHER_HUB, OTHER_PORT)
    plane.set_hub(static=[(STATION[3], OTHER_PORT)], hub=other)
    return plane, host, tap, outer


# Kept for the life of the process.
belongings = build_plane()


cdef void take_over(Lanes plane, int host):
    """Where everything is, and how it looks before the first packet."""
    global hub_kept, neighbours_kept, sequence_kept
    cdef lane_t* lane = plane._lane[0]
    cdef hub_t* hub = lane.hubs[0].hub
    cdef int peer
    lane_read_mail(lane)
    scene.lane = lane
    scene.host = host
    for peer in range(PEERS):
        scene.views[peer] = lane.ports[peer + 1].outbound
        check(scene.views[peer] != NULL, b"a peer's SA")
    for peer in range(STATIONS):
        memcpy(scene.stations[peer], <const char*>(<bytes>STATION[peer]), 6)
    hub_kept = <uint8_t*>malloc(HUB_OCTETS)
    neighbours_kept = <uint8_t*>malloc(NEIGHBOURS_OCTETS)
    memcpy(hub_kept, hub.entries, HUB_OCTETS)
    memcpy(neighbours_kept, hub.neighbours.entries, NEIGHBOURS_OCTETS)
    sequence_kept = scene.views[0].sa.sequence
    poison(lane.opened, HEAD_ROOM - OPENED_FRONT)
    poison(lane.opened + HEAD_ROOM + MERGE_ROOM + ESP_TAIL_ROOM, TAIL_ROOM - ESP_TAIL_ROOM)
    poison(lane.inbox.slots, BATCH * <size_t>SLOT_STRIDE)


cdef void reset_peer(int peer) noexcept nogil:
    cdef sa_lane_t* view = scene.views[peer]
    esp_ctx_free(view.sealer)
    esp_ctx_free(view.opener)
    esp_ctx_free(scene.sealers[peer])
    esp_ctx_free(scene.openers[peer])
    view.sealer = view.opener = NULL
    scene.sealers[peer] = esp_ctx_new(&view.sa.key_in, False)
    scene.openers[peer] = esp_ctx_new(&view.sa.key_out, True)
    scene.sequences[peer] = 1
    view.sa.sequence = sequence_kept
    view.sequence_next = view.sequence_end = 0
    view.told_first = False
    reorder_forget(&scene.lane.reorder, &view.order)
    view.order.next = 0
    memset(&view.moves, 0, sizeof(view.moves))
    memset(&view.path_talk, 0, sizeof(view.path_talk))
    memset(&view.port.stations, 0, sizeof(view.port.stations))
    memset(&view.port.neighbours, 0, sizeof(view.port.neighbours))
    memset(&view.port.floods, 0, sizeof(view.port.floods))
    view.port.told_no_sa = 0


cdef void scene_reset() noexcept nogil:
    cdef lane_t* lane = scene.lane
    cdef hub_lane_t* view = lane.hubs[0]
    cdef hub_t* hub = view.hub
    cdef int peer
    for peer in range(PEERS):
        reset_peer(peer)
    memcpy(hub.entries, hub_kept, HUB_OCTETS)
    memcpy(hub.neighbours.entries, neighbours_kept, NEIGHBOURS_OCTETS)
    memset(&lane.stats, 0, sizeof(lane.stats))
    memset(&lane.unknown_spis, 0, sizeof(lane.unknown_spis))
    memset(&view.stats, 0, sizeof(view.stats))
    memset(&view.answers, 0, sizeof(view.answers))
    memset(&view.floods, 0, sizeof(view.floods))
    merge_init(&lane.merge, lane.opened + HEAD_ROOM)
    view.offloads = ALL_OFFLOADS
    lane.now_ms = NOW_MS
    lane.now = <uint64_t>NOW_MS * 1000000
    lane.ring.tail = lane.ring.head


cdef int scene_seal(int peer, uint8_t next_header, const uint8_t* payload, size_t len, uint8_t* out) noexcept nogil:
    cdef uint8_t* room = <uint8_t*>malloc(len + ESP_TAIL_ROOM)
    cdef int size = esp_sealed_len(scene.sealers[peer], len)
    memcpy(room, payload, len)
    memset(room + len, 0, ESP_TAIL_ROOM)
    if size >= 0:
        size = esp_seal(scene.sealers[peer], scene.sequences[peer], next_header, room, len, out)
        scene.sequences[peer] += 1
    free(room)
    return size


cdef void scene_message(int index, const uint8_t* data, size_t len, uint16_t segment) noexcept nogil:
    cdef uint8_t* slot = scene.lane.inbox.slots + index * SLOT_STRIDE
    cdef msghdr* header = &scene.lane.inbox.messages[index].msg_hdr
    cdef cmsghdr* control
    cdef int size = segment
    poison(slot, SLOT_STRIDE)
    unpoison(slot + HEAD_ROOM, len)
    memcpy(slot + HEAD_ROOM, data, len)
    scene.lane.inbox.messages[index].msg_len = <unsigned int>len
    header.msg_flags = 0
    header.msg_namelen = 16
    memset(scene.lane.inbox.sources + index, 0, 16)
    scene.lane.inbox.sources[index].sin6_family = 2
    header.msg_controllen = 0
    if segment:
        header.msg_controllen = RECEIVE_CONTROL_ROOM
        control = CMSG_FIRSTHDR(header)
        memset(control, 0, RECEIVE_CONTROL_ROOM)
        control.cmsg_level = SOL_UDP
        control.cmsg_type = UDP_GRO
        control.cmsg_len = CMSG_LEN(sizeof(size))
        memcpy(CMSG_DATA(control), &size, sizeof(size))
        header.msg_controllen = CMSG_SPACE(sizeof(size))


cdef void scene_open_frames() noexcept nogil:
    unpoison(scene.lane.frames, BATCH * <size_t>SLOT_STRIDE)


cdef void scene_close_frame(uint8_t* data, uint32_t len) noexcept nogil:
    cdef uint8_t* slot = data - HEAD_ROOM
    poison(slot, HEAD_ROOM - VNET_HEADER)
    poison(data + len + ESP_TAIL_ROOM, SLOT_STRIDE - HEAD_ROOM - ESP_TAIL_ROOM - len)


cdef uint64_t scene_counted() noexcept nogil:
    cdef stats_t stats = scene.lane.stats
    cdef uint64_t total = 0
    cdef int index
    stats_sum(&stats, &scene.lane.hubs[0].stats)
    for index in range(DROP_COUNT):
        total += stats.drops[index]
    for index in range(TOTAL_COUNT):
        if (
            index != TOTAL_ESP_IN and index != TOTAL_TAP_IN and index != TOTAL_TAP_OCTETS_IN
            and index != TOTAL_SUPER_IN and index != TOTAL_MAC_LEARNED and index != TOTAL_SEND_CALLS
        ):
            total += stats.totals[index]
    return total


cdef bint scene_apart() noexcept nogil:
    cdef const stats_t* stats = &scene.lane.hubs[OTHER_HUB].stats
    cdef uint64_t total = scene.lane.ports[OTHER_PORT].drops
    cdef int index
    for index in range(DROP_COUNT):
        total += stats.drops[index]
    for index in range(TOTAL_COUNT):
        total += stats.totals[index]
    return total == 0


take_over(belongings[0], belongings[1].fileno())
