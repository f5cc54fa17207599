/* The door of this room. All it offers is public. */
#ifndef HDLOSS_TRELLIS_TRELLIS_H
#define HDLOSS_TRELLIS_TRELLIS_H

#include "rounding.h"

#endif
