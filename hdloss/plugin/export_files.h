/* Exports as directories. */
#ifndef HDLOSS_PLUGIN_EXPORT_FILES_H
#define HDLOSS_PLUGIN_EXPORT_FILES_H

#include "export.h"
#include "internal.h"

/* Writes the files to a new directory and gives it its name when all are on disk, so that it is there
 * complete or not at all. An existing directory must be empty or an earlier export, which it takes the place
 * of. */
bool export_directory_write(const char *path, const hd_export_files *files, error *e);
bool export_directory_read(const char *path, hd_export *exported, error *e);

#endif
