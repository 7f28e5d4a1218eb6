// SPDX-License-Identifier: GPL-2.0
/*
 * sriov_esw - a devlink eswitch for a physical function that has none
 *
 * Test equipment. QEMU's igb has SR-IOV but no devlink; netdevsim has devlink
 * but no PCI functions. This module joins the two: it registers a devlink
 * instance on an existing PF, so that "pci/0000:01:00.0" has an eswitch mode,
 * and in switchdev mode it adds a representor for each enabled VF:
 *
 *	modprobe sriov_esw pf=0000:01:00.0,0000:02:00.0
 *
 * What is real: the devlink and netdev interfaces of the kernel (modes, ports,
 * phys_port_name, phys_switch_id, uevents, udev names). What is not: the data
 * path. Representors count and drop what is sent to them, igb keeps on
 * switching as before, and no VF has to be bound again after a change of mode.
 *
 * Unload it before the PF's driver: it borrows the PF's netdev and does not
 * follow it when the driver goes.
 */
#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/pci.h>
#include <linux/rtnetlink.h>
#include <net/devlink.h>

#define ESW_MAX_PFS	8
#define ESW_MAX_VFS	64
#define ESW_VF_PORT	128	/* devlink port index of VF 0 */

/* How long to let a write to sriov_numvfs finish before looking again. */
#define ESW_SETTLE_ADD_MS	300
#define ESW_SETTLE_REMOVE_MS	1500

static char *pf[ESW_MAX_PFS];
static int pf_count;
module_param_array(pf, charp, &pf_count, 0444);
MODULE_PARM_DESC(pf, "PCI addresses of the physical functions, domain:bus:device.function");

struct esw_rep {
	struct devlink_port port;
	struct net_device *netdev;
};

struct esw {
	struct pci_dev *pdev;
	struct devlink_port uplink;
	bool uplink_registered;
	u16 mode;
	u8 inline_mode;
	enum devlink_eswitch_encap_mode encap_mode;
	int rep_count;
	struct esw_rep *reps[ESW_MAX_VFS];
};

static struct devlink *esw_devlinks[ESW_MAX_PFS];

/* --- representors --- */

static netdev_tx_t esw_rep_xmit(struct sk_buff *skb, struct net_device *netdev)
{
	dev_sw_netstats_tx_add(netdev, 1, skb->len);
	dev_kfree_skb(skb);
	return NETDEV_TX_OK;
}

static int esw_rep_open(struct net_device *netdev)
{
	netif_carrier_on(netdev);
	netif_start_queue(netdev);
	return 0;
}

static int esw_rep_stop(struct net_device *netdev)
{
	netif_stop_queue(netdev);
	netif_carrier_off(netdev);
	return 0;
}

static const struct net_device_ops esw_rep_ops = {
	.ndo_open		= esw_rep_open,
	.ndo_stop		= esw_rep_stop,
	.ndo_start_xmit		= esw_rep_xmit,
	.ndo_set_mac_address	= eth_mac_addr,
	.ndo_validate_addr	= eth_validate_addr,
};

static void esw_rep_setup(struct net_device *netdev)
{
	ether_setup(netdev);
	netdev->netdev_ops = &esw_rep_ops;
	netdev->pcpu_stat_type = NETDEV_PCPU_STAT_TSTATS;
	netdev->hw_features |= NETIF_F_HW_TC;
	netdev->features |= NETIF_F_HW_TC;
	netdev->max_mtu = 9216;
	eth_hw_addr_random(netdev);
}

/* All ports of one PF share a switch id; no two PFs do. */
static void esw_fill_switch_id(const struct esw *esw, struct devlink_port_attrs *attrs)
{
	u16 id = pci_dev_id(esw->pdev);

	memset(attrs->switch_id.id, 0, 8);
	attrs->switch_id.id[0] = 0xe5;
	attrs->switch_id.id[6] = id >> 8;
	attrs->switch_id.id[7] = id & 0xff;
	attrs->switch_id.id_len = 8;
}

static int esw_wanted_reps(const struct esw *esw)
{
	return min(pci_num_vf(esw->pdev), ESW_MAX_VFS);
}

static int esw_rep_add(struct devlink *devlink, struct esw *esw, int vf)
{
	struct devlink_port_attrs attrs = {};
	struct esw_rep *rep;
	int err;

	rep = kzalloc(sizeof(*rep), GFP_KERNEL);
	if (!rep)
		return -ENOMEM;
	rep->netdev = alloc_netdev(0, "eth%d", NET_NAME_ENUM, esw_rep_setup);
	if (!rep->netdev) {
		err = -ENOMEM;
		goto free_rep;
	}

	esw_fill_switch_id(esw, &attrs);
	devlink_port_attrs_set(&rep->port, &attrs);
	devlink_port_attrs_pci_vf_set(&rep->port, 0, PCI_FUNC(esw->pdev->devfn), vf, false);
	err = devl_port_register(devlink, &rep->port, ESW_VF_PORT + vf);
	if (err)
		goto free_netdev;

	SET_NETDEV_DEV(rep->netdev, &esw->pdev->dev);
	SET_NETDEV_DEVLINK_PORT(rep->netdev, &rep->port);
	err = register_netdev(rep->netdev);
	if (err)
		goto unregister_port;

	esw->reps[esw->rep_count++] = rep;
	return 0;

unregister_port:
	devl_port_unregister(&rep->port);
free_netdev:
	free_netdev(rep->netdev);
free_rep:
	kfree(rep);
	return err;
}

static void esw_reps_remove(struct esw *esw)
{
	while (esw->rep_count) {
		struct esw_rep *rep = esw->reps[--esw->rep_count];

		unregister_netdev(rep->netdev);
		devl_port_unregister(&rep->port);
		free_netdev(rep->netdev);
		kfree(rep);
	}
}

static int esw_reps_add(struct devlink *devlink, struct esw *esw)
{
	int vf, err, count = esw_wanted_reps(esw);

	for (vf = 0; vf < count; vf++) {
		err = esw_rep_add(devlink, esw, vf);
		if (err) {
			esw_reps_remove(esw);
			return err;
		}
	}
	return 0;
}

/* --- the uplink: the PF's own netdev, which another driver owns --- */

static struct net_device *esw_pf_netdev(const struct esw *esw)
{
	struct net_device *netdev;

	ASSERT_RTNL();
	for_each_netdev(&init_net, netdev)
		if (netdev->dev.parent == &esw->pdev->dev && netdev->netdev_ops != &esw_rep_ops)
			return netdev;
	return NULL;
}

static void esw_uplink_remove(struct esw *esw)
{
	struct net_device *netdev;

	if (!esw->uplink_registered)
		return;
	rtnl_lock();
	netdev = esw_pf_netdev(esw);
	if (netdev)
		netdev->devlink_port = NULL;
	rtnl_unlock();
	devlink_port_type_clear(&esw->uplink);
	devl_port_unregister(&esw->uplink);
	memset(&esw->uplink, 0, sizeof(esw->uplink));
	esw->uplink_registered = false;
}

static int esw_uplink_add(struct devlink *devlink, struct esw *esw, u16 mode)
{
	struct devlink_port_attrs attrs = { .flavour = DEVLINK_PORT_FLAVOUR_PHYSICAL };
	struct net_device *netdev;
	int err;

	attrs.phys.port_number = PCI_FUNC(esw->pdev->devfn);
	if (mode == DEVLINK_ESWITCH_MODE_SWITCHDEV)
		esw_fill_switch_id(esw, &attrs);
	devlink_port_attrs_set(&esw->uplink, &attrs);
	err = devl_port_register(devlink, &esw->uplink, 0);
	if (err)
		return err;
	esw->uplink_registered = true;

	rtnl_lock();
	netdev = esw_pf_netdev(esw);
	if (netdev)
		netdev->devlink_port = &esw->uplink;
	rtnl_unlock();
	devlink_port_type_eth_set(&esw->uplink);
	/*
	 * The core learns a port's netdev when the netdev is registered, and
	 * this one was registered long ago.
	 */
	if (netdev) {
		esw->uplink.type_eth.netdev = netdev;
		esw->uplink.type_eth.ifindex = netdev->ifindex;
		strscpy(esw->uplink.type_eth.ifname, netdev->name, IFNAMSIZ);
	}
	return 0;
}

/* --- devlink operations; the core holds the instance's lock --- */

static int esw_set_ports(struct devlink *devlink, struct esw *esw, u16 mode)
{
	int err;

	esw_reps_remove(esw);
	esw_uplink_remove(esw);
	err = esw_uplink_add(devlink, esw, mode);
	if (!err && mode == DEVLINK_ESWITCH_MODE_SWITCHDEV)
		err = esw_reps_add(devlink, esw);
	return err;
}

static int esw_mode_get(struct devlink *devlink, u16 *mode)
{
	struct esw *esw = devlink_priv(devlink);

	*mode = esw->mode;
	return 0;
}

static int esw_mode_set(struct devlink *devlink, u16 mode, struct netlink_ext_ack *extack)
{
	struct esw *esw = devlink_priv(devlink);
	int err;

	if (mode == esw->mode)
		return 0;
	if (mode != DEVLINK_ESWITCH_MODE_LEGACY && mode != DEVLINK_ESWITCH_MODE_SWITCHDEV)
		return -EOPNOTSUPP;
	err = esw_set_ports(devlink, esw, mode);
	if (err) {
		NL_SET_ERR_MSG_MOD(extack, "cannot make the ports of the new mode");
		esw_set_ports(devlink, esw, esw->mode);
		return err;
	}
	esw->mode = mode;
	return 0;
}

static int esw_inline_mode_get(struct devlink *devlink, u8 *inline_mode)
{
	struct esw *esw = devlink_priv(devlink);

	*inline_mode = esw->inline_mode;
	return 0;
}

static int esw_inline_mode_set(struct devlink *devlink, u8 inline_mode,
			       struct netlink_ext_ack *extack)
{
	struct esw *esw = devlink_priv(devlink);

	esw->inline_mode = inline_mode;
	return 0;
}

static int esw_encap_mode_get(struct devlink *devlink, enum devlink_eswitch_encap_mode *encap_mode)
{
	struct esw *esw = devlink_priv(devlink);

	*encap_mode = esw->encap_mode;
	return 0;
}

static int esw_encap_mode_set(struct devlink *devlink, enum devlink_eswitch_encap_mode encap_mode,
			      struct netlink_ext_ack *extack)
{
	struct esw *esw = devlink_priv(devlink);

	esw->encap_mode = encap_mode;
	return 0;
}

static const struct devlink_ops esw_devlink_ops = {
	.eswitch_mode_get		= esw_mode_get,
	.eswitch_mode_set		= esw_mode_set,
	.eswitch_inline_mode_get	= esw_inline_mode_get,
	.eswitch_inline_mode_set	= esw_inline_mode_set,
	.eswitch_encap_mode_get		= esw_encap_mode_get,
	.eswitch_encap_mode_set		= esw_encap_mode_set,
};

/* --- representors follow sriov_numvfs --- */

static void esw_follow(struct work_struct *work)
{
	int i;

	for (i = 0; i < pf_count; i++) {
		struct devlink *devlink = esw_devlinks[i];
		struct esw *esw;

		if (!devlink)
			continue;
		esw = devlink_priv(devlink);
		devl_lock(devlink);
		if (esw->mode == DEVLINK_ESWITCH_MODE_SWITCHDEV &&
		    esw->rep_count != esw_wanted_reps(esw)) {
			esw_reps_remove(esw);
			if (esw_reps_add(devlink, esw))
				dev_warn(&esw->pdev->dev, "sriov_esw: cannot add representors\n");
		}
		devl_unlock(devlink);
	}
}
static DECLARE_DELAYED_WORK(esw_follow_work, esw_follow);

static int esw_pci_event(struct notifier_block *nb, unsigned long event, void *data)
{
	if (!to_pci_dev(data)->is_virtfn)
		return NOTIFY_DONE;
	if (event == BUS_NOTIFY_ADD_DEVICE)
		mod_delayed_work(system_wq, &esw_follow_work, msecs_to_jiffies(ESW_SETTLE_ADD_MS));
	if (event == BUS_NOTIFY_REMOVED_DEVICE)
		mod_delayed_work(system_wq, &esw_follow_work, msecs_to_jiffies(ESW_SETTLE_REMOVE_MS));
	return NOTIFY_DONE;
}

static struct notifier_block esw_pci_notifier = { .notifier_call = esw_pci_event };

/* --- loading and unloading --- */

static void esw_detach(int i)
{
	struct devlink *devlink = esw_devlinks[i];
	struct pci_dev *pdev;
	struct esw *esw;

	if (!devlink)
		return;
	esw = devlink_priv(devlink);
	pdev = esw->pdev;
	devl_lock(devlink);
	esw_reps_remove(esw);
	esw_uplink_remove(esw);
	devl_unregister(devlink);
	devl_unlock(devlink);
	devlink_free(devlink);
	pci_dev_put(pdev);
	esw_devlinks[i] = NULL;
}

static int esw_attach(int i)
{
	unsigned int domain, bus, device, function;
	struct devlink *devlink;
	struct pci_dev *pdev;
	struct esw *esw;
	int err;

	if (sscanf(pf[i], "%x:%x:%x.%x", &domain, &bus, &device, &function) != 4)
		return -EINVAL;
	pdev = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(device, function));
	if (!pdev)
		return -ENODEV;
	devlink = devlink_alloc(&esw_devlink_ops, sizeof(*esw), &pdev->dev);
	if (!devlink) {
		pci_dev_put(pdev);
		return -ENOMEM;
	}
	esw = devlink_priv(devlink);
	esw->pdev = pdev;
	esw->mode = DEVLINK_ESWITCH_MODE_LEGACY;

	devl_lock(devlink);
	err = devl_register(devlink);
	if (!err) {
		err = esw_uplink_add(devlink, esw, esw->mode);
		if (err)
			devl_unregister(devlink);
	}
	devl_unlock(devlink);
	if (err) {
		devlink_free(devlink);
		pci_dev_put(pdev);
		return err;
	}
	esw_devlinks[i] = devlink;
	return 0;
}

static void esw_exit(void)
{
	int i;

	bus_unregister_notifier(&pci_bus_type, &esw_pci_notifier);
	cancel_delayed_work_sync(&esw_follow_work);
	for (i = 0; i < pf_count; i++)
		esw_detach(i);
}

static int __init esw_init(void)
{
	int i, err;

	err = bus_register_notifier(&pci_bus_type, &esw_pci_notifier);
	if (err)
		return err;
	for (i = 0; i < pf_count; i++) {
		err = esw_attach(i);
		if (err) {
			esw_exit();
			return err;
		}
	}
	return 0;
}

module_init(esw_init);
module_exit(esw_exit);
MODULE_DESCRIPTION("Test-only devlink eswitch on an existing SR-IOV physical function");
MODULE_LICENSE("GPL");
