/* What training shows: a bar on a terminal, one plain line an update in a file. */
#ifndef DARKNET_CLI_PROGRESS_H
#define DARKNET_CLI_PROGRESS_H

#include "train/train.h"

typedef struct progress_view progress_view;
progress_view *progress_create(void);
void progress_destroy(progress_view *view);
train_callbacks progress_callbacks(progress_view *view);

#endif
