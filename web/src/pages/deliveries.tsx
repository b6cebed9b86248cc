import { useMay } from '../api';
import { DeliveryList } from '../deliveries/list';
import { paths } from '../router';
import { ButtonLink, PageHead } from '../ui/basics';

export function DeliveriesPage() {
  const { manageWebhooks } = useMay();
  return (
    <>
      <PageHead title="Deliveries" lead="Every request to every webhook of this workspace, as it happens." />
      <DeliveryList webhookId={null} active={null} firstStep={manageWebhooks && <ButtonLink href={paths.webhooks}>Choose a webhook to test</ButtonLink>} />
    </>
  );
}
