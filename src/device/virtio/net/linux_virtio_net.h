// linux/virtio_net.h, where a field has the name of a keyword of C++.
#pragma once

#include <linux/if_ether.h>
#include <linux/types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_types.h>

#define class class_of_command
#include <linux/virtio_net.h>
#undef class
