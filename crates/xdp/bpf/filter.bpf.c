// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Drops packets of listed sources, and new connections over a limit, before the kernel makes anything of them.
//
// What it cannot read passes: the kernel decides about it. `src/decision.rs` says the same in Rust, and a test holds the two
// against each other; `src/maps.rs` is the other side of what is laid out here. It needs no header: types are its own, and
// helpers are called by number (enum bpf_func_id in include/uapi/linux/bpf.h). After a change: scripts/bpf.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SECTION(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define PACKED __attribute__((packed))
// Maps are declared by BTF: a number is the length of an array that a member points to.
#define NUMBER(name, value) int(*name)[value]
#define TYPE(name, type) type *name

// enum bpf_map_type, BPF_F_NO_PREALLOC, enum xdp_action.
enum { HASH = 1, ARRAY = 2, PERCPU_ARRAY = 6, LRU_HASH = 9, LPM_TRIE = 11 };
enum { NO_PREALLOC = 1 };
enum { ONLY_NEW = 1 }; // BPF_NOEXIST
enum { XDP_DROP = 1, XDP_PASS = 2 };

static void *(*lookup)(void *map, const void *key) = (void *)1;
static long (*update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
// CLOCK_BOOTTIME (5.8), which runs on while a machine is suspended, and which nobody can set.
static u64 (*boot_ns)(void) = (void *)125;

struct xdp_md {
    u32 data;
    u32 data_end;
};

// A token bucket without tokens (the generic cell rate algorithm): one number for each source, the time at which its bucket
// will be full again. A packet passes if that is not further ahead than `burst_ns`, and moves it on by `interval_ns`.
struct rate {
    u64 interval_ns; // 0: no limit
    u64 burst_ns;
};

struct limit {
    struct rate source; // an address
    struct rate prefix; // a /24 of IPv4, a /64 of IPv6
};

// Of every version it has this size, and its owner stands here: by that another version's program is known, and detached. What is
// to be told beyond it goes into a map of its own.
struct config {
    u64 armed_until_ns; // of CLOCK_BOOTTIME
    u64 enforces;       // 0: counts, and lets pass
    u64 owner;          // who attached it; nothing is decided by it
    u64 drops_all;      // 0: of listed sources only what is limited
    struct limit tcp;   // SYNs without FIN, RST and ACK
    struct limit udp;   // all datagrams
};

// A packet is counted once, as what became of it. What is dropped comes last, and so often again for what was really dropped.
enum outcome {
    DISARMED,
    NOT_IP,
    MALFORMED,
    ALLOWED,
    FRAGMENT,
    UNLIMITED,
    WITHIN_LIMIT,
    LISTED,
    OVER_SOURCE,
    OVER_PREFIX,
    REASONS = 3,
    OUTCOMES = LISTED + 2 * REASONS,
    UNDECIDED = OUTCOMES,
};

enum protocol { OF_TCP, OF_UDP };
enum level { SOURCE, PREFIX };

struct ports {
    u8 bits[8192];
};

struct list4_key {
    u32 bits;
    u8 address[4];
};

struct list6_key {
    u32 bits;
    u8 address[16];
};

struct source_key {
    u8 version;
    u8 zero[3];
    u8 address[16];
};

// Packets that were dropped, since the last time that none was for NOTED_NS.
struct dropped {
    u64 packets;
    u64 last_ns; // of CLOCK_BOOTTIME
};

struct bucket_key {
    u8 version;
    u8 protocol;
    u8 level;
    u8 zero;
    u8 address[16];
};

struct {
    NUMBER(type, ARRAY);
    NUMBER(max_entries, 1);
    TYPE(key, u32);
    TYPE(value, struct config);
} config SECTION(".maps");

// By enum protocol: one bit for each port that is protected.
struct {
    NUMBER(type, ARRAY);
    NUMBER(max_entries, 2);
    TYPE(key, u32);
    TYPE(value, struct ports);
} ports SECTION(".maps");

// Allowed and dropped sources in one list, so that a packet costs one search: 0 is "allowed", else until when packets are
// dropped (CLOCK_BOOTTIME). Who writes it sees to it that the longest prefix decides as it should.
struct {
    NUMBER(type, LPM_TRIE);
    NUMBER(max_entries, 65536);
    NUMBER(map_flags, NO_PREALLOC);
    TYPE(key, struct list4_key);
    TYPE(value, u64);
} list4 SECTION(".maps");

struct {
    NUMBER(type, LPM_TRIE);
    NUMBER(max_entries, 65536);
    NUMBER(map_flags, NO_PREALLOC);
    TYPE(key, struct list6_key);
    TYPE(value, u64);
} list6 SECTION(".maps");

// Bounded: when it is full, who was not seen for longest is forgotten, and has a full bucket again.
struct {
    NUMBER(type, LRU_HASH);
    NUMBER(max_entries, 65536);
    TYPE(key, struct bucket_key);
    TYPE(value, u64);
} buckets SECTION(".maps");

// Whose packets were dropped. Who reads it removes what is older than NOTED_NS: nothing that is younger goes for want of room.
struct {
    NUMBER(type, HASH);
    NUMBER(max_entries, 65536);
    TYPE(key, struct source_key);
    TYPE(value, struct dropped);
} sources SECTION(".maps");

// Those for which it had no room, together.
struct {
    NUMBER(type, ARRAY);
    NUMBER(max_entries, 1);
    TYPE(key, u32);
    TYPE(value, struct dropped);
} unnoted SECTION(".maps");

struct {
    NUMBER(type, PERCPU_ARRAY);
    NUMBER(max_entries, OUTCOMES);
    TYPE(key, u32);
    TYPE(value, u64);
} counts SECTION(".maps");

struct ethernet {
    u8 addresses[12];
    u16 type;
};

struct vlan {
    u16 tag;
    u16 type;
};

struct ipv4 {
    u8 version_and_words;
    u8 tos;
    u16 total_bytes;
    u16 id;
    u16 fragment;
    u8 ttl;
    u8 protocol;
    u16 checksum;
    u8 source[4];
    u8 destination[4];
} PACKED;

struct ipv6 {
    u8 version_and_class;
    u8 rest_of_class_and_label[3];
    u16 payload_bytes;
    u8 next;
    u8 hops;
    u8 source[16];
    u8 destination[16];
} PACKED;

struct extension {
    u8 next;
    u8 length;
    u16 fragment;
} PACKED;

struct tcp {
    u16 source_port;
    u16 destination_port;
    u8 sequence[8];
    u8 words;
    u8 flags;
    u8 rest[6];
} PACKED;

struct udp {
    u16 source_port;
    u16 destination_port;
    u16 bytes;
    u16 checksum;
} PACKED;

// A packet whose addresses could be read.
struct packet {
    u8 *data; // the frame
    u8 *end;
    u32 at;   // where the header is that is read next
    u32 left; // bytes from there on that belong to the packet, as its IP header has it
    u8 version;
    u8 protocol;
    u8 source[16];
};

INLINE u16 swapped(u16 value) {
    return __builtin_bswap16(value);
}

// No header that is read begins behind this. That a place is a number below it, and not a pointer, spares the verifier most of
// its work: it need not go through what follows once for each way that leads there.
enum { MOST_AT = 0x3fff };

// What is at a place in the frame, if it is all there.
INLINE const void *in_frame(const struct packet *packet, u32 bytes) {
    const u8 *at = packet->data + (packet->at & MOST_AT);
    return at + bytes <= packet->end ? at : 0;
}

// The header that is read next, if it is all there and belongs to the packet.
INLINE const void *header(const struct packet *packet, u32 bytes) {
    return packet->left >= bytes ? in_frame(packet, bytes) : 0;
}

INLINE void skip(struct packet *packet, u32 bytes) {
    packet->at += bytes;
    packet->left -= bytes;
}

INLINE const u64 *in_list(const struct packet *packet) {
    if (packet->version == 4) {
        struct list4_key key = {.bits = 32};
        __builtin_memcpy(key.address, packet->source, 4);
        return lookup(&list4, &key);
    }
    struct list6_key key = {.bits = 128};
    __builtin_memcpy(key.address, packet->source, 16);
    return lookup(&list6, &key);
}

INLINE enum outcome by_list(const struct packet *packet, u64 now) {
    const u64 *listed = in_list(packet);
    if (!listed)
        return UNDECIDED;
    if (*listed == 0)
        return ALLOWED;
    return now < *listed ? LISTED : UNDECIDED;
}

// A bucket that a packet would take from.
struct take {
    struct bucket_key key;
    u64 *full_at;
    u64 from;
};

// Whether a bucket has nothing left for this packet. Takes nothing yet.
INLINE int is_over(struct take *take, const struct rate *rate, u64 now) {
    take->full_at = lookup(&buckets, &take->key);
    take->from = take->full_at && *take->full_at > now ? *take->full_at : now;
    return take->from - now > rate->burst_ns;
}

// Two processors that see the same token both take it: so a source has at most a packet for each processor and token. An
// element that cannot be made leaves the source unlimited.
INLINE void take_one(struct take *take, const struct rate *rate) {
    u64 full_at = take->from + rate->interval_ns;
    if (take->full_at)
        *take->full_at = full_at;
    else
        update(&buckets, &take->key, &full_at, 0);
}

// The prefix is looked at first, so that sources without number in one prefix do not push all others out of the map; it is
// charged only with what passes, so that one source does not use up what is its neighbours'.
INLINE enum outcome by_limit(const struct packet *packet, const struct limit *limit, enum protocol protocol, u64 now) {
    struct take source = {.key = {packet->version, protocol, SOURCE, 0, {0}}};
    struct take prefix = {.key = {packet->version, protocol, PREFIX, 0, {0}}};
    __builtin_memcpy(source.key.address, packet->source, 16);
    __builtin_memcpy(prefix.key.address, packet->source, 8);
    if (packet->version == 4)
        prefix.key.address[3] = 0;
    if (limit->prefix.interval_ns && is_over(&prefix, &limit->prefix, now))
        return OVER_PREFIX;
    if (limit->source.interval_ns && is_over(&source, &limit->source, now))
        return OVER_SOURCE;
    if (limit->prefix.interval_ns)
        take_one(&prefix, &limit->prefix);
    if (limit->source.interval_ns)
        take_one(&source, &limit->source);
    return WITHIN_LIMIT;
}

// RFC 791.
INLINE enum outcome read_ipv4(struct packet *packet) {
    const struct ipv4 *ip = in_frame(packet, sizeof *ip);
    if (!ip || ip->version_and_words >> 4 != 4)
        return MALFORMED;
    packet->version = 4;
    packet->protocol = ip->protocol;
    packet->left = swapped(ip->total_bytes);
    __builtin_memcpy(packet->source, ip->source, 4);
    return UNDECIDED;
}

INLINE enum outcome skip_ipv4(struct packet *packet) {
    const struct ipv4 *ip = header(packet, sizeof *ip);
    if (!ip)
        return MALFORMED;
    u32 header_bytes = (ip->version_and_words & 15) * 4;
    if (header_bytes < sizeof *ip || !header(packet, header_bytes))
        return MALFORMED;
    // Behind the first fragment there are no ports. The kernel keeps such fragments only until their first one comes; where
    // that one is dropped here they come to nothing.
    if (swapped(ip->fragment) & 0x1fff)
        return FRAGMENT;
    skip(packet, header_bytes);
    return UNDECIDED;
}

// RFC 8200.
INLINE enum outcome read_ipv6(struct packet *packet) {
    const struct ipv6 *ip = in_frame(packet, sizeof *ip);
    if (!ip || ip->version_and_class >> 4 != 6)
        return MALFORMED;
    packet->version = 6;
    packet->protocol = ip->next;
    packet->left = swapped(ip->payload_bytes);
    __builtin_memcpy(packet->source, ip->source, 16);
    packet->at += sizeof *ip;
    return UNDECIDED;
}

// What RFC 8200 (4.1) lets a packet have: hop-by-hop options, destination options, routing, fragment, authentication,
// destination options. Each more nearly doubles the verifier's work, which for six goes through 75,000 instructions, of a million
// that it is willing to.
enum { MOST_EXTENSIONS = 6 };

INLINE enum outcome skip_extensions(struct packet *packet) {
    enum { HOP_BY_HOP = 0, ROUTING = 43, FRAGMENTED = 44, AUTHENTICATION = 51, DESTINATION = 60, MOBILITY = 135 };
#pragma nounroll
    for (int walked = 0; walked < MOST_EXTENSIONS; walked++) {
        u8 kind = packet->protocol;
        if (kind != HOP_BY_HOP && kind != ROUTING && kind != FRAGMENTED && kind != AUTHENTICATION &&
            kind != DESTINATION && kind != MOBILITY)
            return UNDECIDED;
        const struct extension *extension = header(packet, 8);
        if (!extension)
            return MALFORMED;
        if (kind == FRAGMENTED && swapped(extension->fragment) & 0xfff8)
            return FRAGMENT;
        // Of authentication (RFC 4302) the length is in words, less two.
        u32 unit = kind == FRAGMENTED ? 0 : kind == AUTHENTICATION ? 4 : 8;
        packet->protocol = extension->next;
        skip(packet, 8 + extension->length * unit);
        // Behind the end of the packet or the frame, whose header is there no more?
        if ((int)packet->left < 0 || packet->at > MOST_AT || packet->data + packet->at > packet->end)
            return MALFORMED;
    }
    // Where yet another one follows, it is no transport that is limited.
    return UNDECIDED;
}

// Reads up to the source's address.
INLINE enum outcome read(struct packet *packet) {
    enum { IPV4 = 0x0800, IPV6 = 0x86dd, VLAN = 0x8100, OUTER_VLAN = 0x88a8, MOST_TAGS = 2 };
    const struct ethernet *ethernet = in_frame(packet, sizeof *ethernet);
    if (!ethernet)
        return MALFORMED;
    u16 type = swapped(ethernet->type);
    packet->at += sizeof *ethernet;
#pragma unroll
    for (int tags = 0; tags < MOST_TAGS; tags++) {
        if (type != VLAN && type != OUTER_VLAN)
            break;
        const struct vlan *vlan = in_frame(packet, sizeof *vlan);
        if (!vlan)
            return MALFORMED;
        type = swapped(vlan->type);
        packet->at += sizeof *vlan;
    }
    switch (type) {
    case IPV4:
        return read_ipv4(packet);
    case IPV6:
        return read_ipv6(packet);
    default:
        return NOT_IP;
    }
}

INLINE enum outcome by_transport(const struct packet *packet, const struct config *config, int is_listed, u64 now) {
    enum { TCP = 6, UDP = 17, FIN = 0x01, SYN = 0x02, RST = 0x04, ACK = 0x10 };
    u32 protocol;
    u16 port;
    if (packet->protocol == TCP) {
        const struct tcp *tcp = header(packet, sizeof *tcp);
        if (!tcp)
            return MALFORMED;
        if ((tcp->flags & (FIN | SYN | RST | ACK)) != SYN)
            return UNLIMITED;
        protocol = OF_TCP;
        port = swapped(tcp->destination_port);
    } else if (packet->protocol == UDP) {
        const struct udp *udp = header(packet, sizeof *udp);
        if (!udp)
            return MALFORMED;
        protocol = OF_UDP;
        port = swapped(udp->destination_port);
    } else {
        return UNLIMITED;
    }
    const struct ports *protected = lookup(&ports, &protocol);
    if (!protected || !(protected->bits[port >> 3] & 1 << (port & 7)))
        return UNLIMITED;
    if (is_listed)
        return LISTED;
    return by_limit(packet, protocol == OF_TCP ? &config->tcp : &config->udp, protocol, now);
}

INLINE enum outcome judge(struct packet *packet, const struct config *config, u64 now) {
    enum outcome outcome = read(packet);
    if (outcome == UNDECIDED)
        outcome = by_list(packet, now);
    int is_listed = outcome == LISTED && !config->drops_all;
    if (is_listed)
        outcome = UNDECIDED;
    if (outcome == UNDECIDED)
        outcome = packet->version == 4 ? skip_ipv4(packet) : skip_extensions(packet);
    if (outcome == UNDECIDED)
        outcome = by_transport(packet, config, is_listed, now);
    return outcome;
}

// A minute, as the sets of the rules have it (HIT_SECS).
static const u64 NOTED_NS = 60000000000;

INLINE void note(struct dropped *dropped, u64 now) {
    // Another processor may have written a later time than this one's: so it is not subtracted.
    if (dropped->last_ns + NOTED_NS < now)
        dropped->packets = 0;
    dropped->last_ns = now;
    __sync_fetch_and_add(&dropped->packets, 1);
}

// Two processors may meet a source first at once: one of them makes the element, and the other finds it.
INLINE void note_source(const struct packet *packet, u64 now) {
    struct source_key key = {.version = packet->version};
    __builtin_memcpy(key.address, packet->source, 16);
    struct dropped *dropped = lookup(&sources, &key);
    if (!dropped) {
        struct dropped first = {.packets = 1, .last_ns = now};
        if (update(&sources, &key, &first, ONLY_NEW) == 0)
            return;
        dropped = lookup(&sources, &key);
    }
    u32 only = 0;
    if (!dropped)
        dropped = lookup(&unnoted, &only);
    if (dropped)
        note(dropped, now);
}

SECTION("xdp")
int plimsoll_xdp(struct xdp_md *context) {
    struct packet packet = {
        .data = (u8 *)(unsigned long)context->data,
        .end = (u8 *)(unsigned long)context->data_end,
    };
    u32 only = 0;
    const struct config *in_force = lookup(&config, &only);
    if (!in_force)
        return XDP_PASS;
    u64 now = boot_ns();
    u32 outcome = now < in_force->armed_until_ns ? judge(&packet, in_force, now) : DISARMED;
    if (outcome >= LISTED && in_force->enforces)
        outcome += REASONS;
    u64 *count = lookup(&counts, &outcome);
    if (!count)
        return XDP_PASS;
    int drops = outcome >= LISTED + REASONS;
    if (drops)
        note_source(&packet, now);
    ++*count;
    return drops ? XDP_DROP : XDP_PASS;
}

// No helper that it calls asks for the GPL.
char terms[] SECTION("license") = "MIT OR Apache-2.0";
