/* The streams of random numbers that this room draws, apart from each other and from everybody else's. */
#ifndef DARKNET_DATA_STREAMS_H
#define DARKNET_DATA_STREAMS_H

#include <stdint.h>

#define DATA_STREAM_SPLIT UINT64_C(0x646174615F73706C)   /* which images are held out */
#define DATA_STREAM_ORDER UINT64_C(0x646174615F6F7264)   /* position: the epoch */
#define DATA_STREAM_AUGMENT UINT64_C(0x646174615F617567) /* position: images drawn before this one */

#endif
