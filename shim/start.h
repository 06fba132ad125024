#ifndef CRN_START_H
#define CRN_START_H
/*
 * Parts with a start of their own.  The constructor calls each once, in this order.
 */

void crn_process_start(void);
void crn_signals_start(void);
void crn_annotations_start(void);

#endif
