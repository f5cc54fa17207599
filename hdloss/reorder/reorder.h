/* The door of this room. All it offers is public. */
#ifndef HDLOSS_REORDER_REORDER_H
#define HDLOSS_REORDER_REORDER_H

#include "reordering.h"

#endif
