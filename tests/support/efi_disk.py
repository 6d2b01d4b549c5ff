"""A disk that EFI firmware starts from: one FAT16 partition with /EFI/BOOT/BOOTRISCV64.EFI (Microsoft's FAT specification 1.03)."""
import struct

SECTOR, CLUSTER_SECTORS, ROOT_ENTRIES, FIRST_SECTOR = 512, 8, 512, 2048
CLUSTER = SECTOR * CLUSTER_SECTORS
DIRECTORY, FILE, END_OF_CHAIN = 0x10, 0x20, 0xffff


def entry(short, attributes, cluster, size=0):
    return struct.pack("<11sB14xHI", short, attributes, cluster, size)


def long_name(name, short):
    """The entries that precede the one with the short name: 13 characters each, the last first."""
    checksum = 0
    for byte in short:
        checksum = ((checksum >> 1) + ((checksum & 1) << 7) + byte) & 0xff
    count = -(-len(name) // 13)
    text = (name + "\0" * (len(name) % 13 != 0)).encode("utf-16-le").ljust(count * 26, b"\xff")
    entries = []
    for number in range(count, 0, -1):
        part = text[(number - 1) * 26:number * 26]
        entries.append(struct.pack("<B10sBBB12sH4s", number | (0x40 if number == count else 0), part[:10], 0x0f, 0, checksum,
                                   part[10:22], 0, part[22:]))
    return b"".join(entries)


def made_of(program):
    clusters = max(-(-len(program) // CLUSTER) + 16, 5000)  # fewer than 4085 would be FAT12
    fat_sectors = -(-(clusters + 2) * 2 // SECTOR)
    sectors = 1 + 2 * fat_sectors + ROOT_ENTRIES * 32 // SECTOR + clusters * CLUSTER_SECTORS
    boot = struct.pack("<3s8sHBHBHHBHHHIIBBBI11s8s", b"\xeb\x3c\x90", b"doppel", SECTOR, CLUSTER_SECTORS, 1, 2, ROOT_ENTRIES, 0,
                       0xf8, fat_sectors, 32, 64, FIRST_SECTOR, sectors, 0x80, 0, 0x29, 1, b"EFI        ", b"FAT16   ")
    boot = boot.ljust(510, b"\0") + b"\x55\xaa"
    used = -(-len(program) // CLUSTER)
    chain = [0xfff8, END_OF_CHAIN, END_OF_CHAIN, END_OF_CHAIN, *range(5, 4 + used), END_OF_CHAIN]  # 2: EFI, 3: BOOT, 4 on: the file
    fat = struct.pack(f"<{len(chain)}H", *chain).ljust(fat_sectors * SECTOR, b"\0")
    root = entry(b"EFI        ", DIRECTORY, 2).ljust(ROOT_ENTRIES * 32, b"\0")
    dots = lambda own, parent: entry(b".          ", DIRECTORY, own) + entry(b"..         ", DIRECTORY, parent)  # noqa: E731
    efi = dots(2, 0) + entry(b"BOOT       ", DIRECTORY, 3)
    short = b"BOOTRI~1EFI"
    boot_folder = dots(3, 2) + long_name("BOOTRISCV64.EFI", short) + entry(short, FILE, 4, len(program))
    data = efi.ljust(CLUSTER, b"\0") + boot_folder.ljust(CLUSTER, b"\0") + program
    partition = (boot + fat + fat + root + data).ljust(sectors * SECTOR, b"\0")
    master = bytes(446) + struct.pack("<B3xB3xII", 0x80, 0xef, FIRST_SECTOR, sectors) + bytes(48) + b"\x55\xaa"
    return master.ljust(FIRST_SECTOR * SECTOR, b"\0") + partition
